/** nginx with ssl_preread: allows by server name, asks the resolver, relays. */
import { addresses, names } from "../bed.ts"
import { peer } from "../contestant.ts"

const port = 8445

export const nginx = peer({
  name: "nginx ssl_preread",
  carries: "tls",
  debianPackage: "libnginx-mod-stream",
  programs: ["nginx"],
  port,
  prepare(bed) {
    const configuration = bed.write(
      "nginx.conf",
      `user root;
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
worker_processes auto;
pid ${bed.file("nginx.pid")};
error_log stderr error;
events { worker_connections 8192; }
stream {
  resolver ${addresses.resolver};
  map $ssl_preread_server_name $to { ${names.page} ${names.page}:443; }
  server {
    listen ${port} reuseport;
    ssl_preread on;
    proxy_pass $to;
  }
}
`,
    )
    return ["nginx", "-p", bed.directory, "-c", configuration, "-g", "daemon off;"]
  },
})
