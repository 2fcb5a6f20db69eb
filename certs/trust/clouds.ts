/**
 * Command lines of clouds. Each has authorities of its own, and a variable that stands in their
 * place. The Azure CLI follows `REQUESTS_CA_BUNDLE`.
 */
import type { Store } from "./store.ts"

export const clouds: Store = {
  name: "AWS CLI and SDKs, gcloud",
  variables: [
    // docs.aws.amazon.com/cli, "ca_bundle"; read by the SDKs for Go, Python and PHP too.
    { name: "AWS_CA_BUNDLE", holds: "whole", set: "always" },
    // cloud.google.com/sdk: core/custom_ca_certs_file
    { name: "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE", holds: "whole", set: "always" },
  ],
  configured: [
    { files: ["~/.aws/config", "$AWS_CONFIG_FILE"], line: /^\s*ca_bundle\s*=\s*(.+?)\s*$/ },
    {
      files: ["~/.config/gcloud/configurations/config_default"],
      line: /^\s*custom_ca_certs_file\s*=\s*(.+?)\s*$/,
    },
  ],
}
