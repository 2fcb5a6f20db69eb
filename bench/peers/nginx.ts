/**
 * nginx with ssl_preread: allows by server name, asks the resolver, relays. And as a reverse proxy: ends
 * TLS with a certificate that it was given, makes none, and shares connections to the origin.
 */
import { addresses, freshZone, names } from "../bed.ts"
import { authorityFile, peerWildcardFiles } from "../certificates.ts"
import { missingProgram, peer } from "../contestant.ts"

const port = 8445
const openingPort = 8461

export const nginx = peer({
  name: "nginx ssl_preread",
  carries: "tls",
  missing: () => missingProgram("libnginx-mod-stream", ["nginx"]),
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

export const nginxOpening = peer({
  name: "nginx",
  carries: "opened",
  missing: () => missingProgram("nginx", ["nginx"]),
  port: openingPort,
  prepare(bed) {
    const configuration = bed.write(
      "nginx-opening.conf",
      `user root;
worker_processes auto;
worker_rlimit_nofile 20000;
pid ${bed.file("nginx-opening.pid")};
error_log stderr error;
events { worker_connections 8192; }
http {
  access_log off;
  keepalive_requests 100000000;
  upstream origin { server ${addresses.page}:443; keepalive 64; keepalive_requests 100000000; }
  server {
    listen ${openingPort} ssl reuseport;
    server_name ${names.page} ${names.registry} *.${freshZone};
    ssl_certificate ${bed.file(peerWildcardFiles.certificate)};
    ssl_certificate_key ${bed.file(peerWildcardFiles.key)};
    ssl_protocols TLSv1.2 TLSv1.3;
    location / {
      limit_except GET { deny all; }
      proxy_pass https://origin;
      proxy_http_version 1.1;
      proxy_set_header Host $host;
      proxy_set_header Connection "";
      proxy_buffer_size 16k;
      proxy_buffers 8 64k;
      proxy_busy_buffers_size 128k;
      proxy_max_temp_file_size 0;
      proxy_ssl_server_name on;
      proxy_ssl_name $ssl_server_name;
      proxy_ssl_verify on;
      proxy_ssl_protocols TLSv1.2 TLSv1.3;
      proxy_ssl_trusted_certificate ${bed.file(authorityFile)};
    }
  }
}
`,
    )
    return ["nginx", "-p", bed.directory, "-c", configuration, "-g", "daemon off;"]
  },
})
