/**
 * Perl: LWP with Mozilla::CA from CPAN has authorities of its own; its variable stands in their
 * place (LWP::UserAgent, ENVIRONMENT). HTTP::Tiny and IO::Socket::SSL follow OpenSSL.
 */
import type { Store } from "./store.ts"

export const perl: Store = {
  name: "Perl LWP",
  variables: [
    { name: "PERL_LWP_SSL_CA_FILE", holds: "whole", set: "always" },
    { name: "HTTPS_CA_FILE", holds: "whole", set: "extended" },
  ],
}
