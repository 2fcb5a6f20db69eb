/** Programs and libraries that fetch, each under request rules: one path and two methods of a host. */
import t from "tap"
import { labFor, whyNoLab } from "../bypass/harness.ts"
import { tryClients, type Client } from "./client-table.ts"

t.setTimeout(300_000)

const python = (body: string): string => `import os, sys
method, url = sys.argv[1:3]
body = os.environ["WORD"].encode() if method == "POST" else None
${body}
`

const node = (body: string): string => `
const [method, url] = process.argv.slice(2)
const body = method === "POST" ? process.env.WORD : undefined
const print = (status, text) => process.stdout.write(status + " " + text)
const fail = (error) => { console.log(error); process.exit(1) }
${body}
`

const java = `import java.net.*;
import java.net.http.*;
public class Fetch {
  public static void main(String[] argv) throws Exception {
    var request = HttpRequest.newBuilder(URI.create(argv[1]));
    if (argv[0].equals("POST")) request.POST(HttpRequest.BodyPublishers.ofString(System.getenv("WORD")));
    var version = HttpClient.Version.valueOf(argv[2]);
    var client = HttpClient.newBuilder().version(version).build();
    var reply = client.send(request.build(), HttpResponse.BodyHandlers.ofString());
    System.out.print(reply.statusCode() + " " + reply.version() + " " + reply.body());
  }
}
`

const oldJava = `import java.net.*;
public class Fetch {
  public static void main(String[] argv) throws Exception {
    var connection = (HttpURLConnection) new URL(argv[1]).openConnection();
    if (argv[0].equals("POST")) {
      connection.setDoOutput(true);
      connection.getOutputStream().write(System.getenv("WORD").getBytes());
    }
    int status = connection.getResponseCode();
    var in = status < 400 ? connection.getInputStream() : connection.getErrorStream();
    System.out.print(status + " " + new String(in.readAllBytes()));
  }
}
`

const go = `package main
import ("fmt"; "io"; "net/http"; "os"; "strings")
func main() {
	var body io.Reader
	if os.Args[1] == "POST" { body = strings.NewReader(os.Getenv("WORD")) }
	request, _ := http.NewRequest(os.Args[1], os.Args[2], body)
	reply, err := http.DefaultClient.Do(request)
	if err != nil { fmt.Println(err); os.Exit(1) }
	text, _ := io.ReadAll(reply.Body)
	fmt.Print(reply.StatusCode, " ", reply.Proto, " ", string(text))
}
`

const php = `<?php [, $method, $url] = $argv;
$body = $method === "POST" ? getenv("WORD") : "";
$context = stream_context_create(["http" => ["method" => $method, "content" => $body, "ignore_errors" => true]]);
$text = file_get_contents($url, false, $context);
echo substr($http_response_header[0], 9, 3), " ", $text;
`

const phpCurl = `<?php [, $method, $url] = $argv;
$curl = curl_init($url);
curl_setopt_array($curl, [CURLOPT_CUSTOMREQUEST => $method, CURLOPT_RETURNTRANSFER => true]);
if ($method === "POST") curl_setopt($curl, CURLOPT_POSTFIELDS, getenv("WORD"));
$text = curl_exec($curl);
echo curl_getinfo($curl, CURLINFO_RESPONSE_CODE), " ", $text, curl_error($curl);
`

const ruby = `require "net/http"
uri = URI(ARGV[1])
request = ARGV[0] == "POST" ? Net::HTTP::Post.new(uri) : Net::HTTP::Get.new(uri)
request.body = ENV["WORD"] if ARGV[0] == "POST"
reply = Net::HTTP.start(uri.host, uri.port, use_ssl: true) { |http| http.request(request) }
print reply.code, " ", reply.body
`

interface Fetcher {
  readonly name: string
  readonly needs: readonly string[]
  readonly files?: Readonly<Record<string, string>>
  readonly prepare?: string
  /** Shell that fetches: the method and the URL follow. */
  readonly fetch: string
  readonly executable: RegExp
  readonly protocol: "http/1.1" | "h2"
  /** What it prints of a denial. Default: the status and the text of the page. */
  readonly refused?: RegExp
}

/** The packages for development, where a client of their own is one. */
const modules = `${import.meta.dirname}/../../node_modules`

const nodes: readonly (readonly [name: string, protocol: "http/1.1" | "h2", body: string])[] = [
  [
    "Node https",
    "http/1.1",
    `const request = require("https").request(url, { method }, (reply) => {
      let text = ""
      reply.on("data", (bytes) => (text += bytes)).on("end", () => print(reply.statusCode, text))
    }).on("error", fail)
    request.end(body)`,
  ],
  [
    "Node fetch",
    "http/1.1",
    "fetch(url, { method, body }).then(async (reply) => print(reply.status, await reply.text())).catch(fail)",
  ],
  [
    "Node http2",
    "h2",
    `const { pathname, origin } = new URL(url)
    const session = require("http2").connect(origin).on("error", fail)
    const stream = session.request({ ":method": method, ":path": pathname })
    let [text, status] = ["", 0]
    stream.on("response", (head) => (status = head[":status"])).on("data", (bytes) => (text += bytes))
    stream.on("end", () => { print(status, text); session.close() })
    stream.end(body)`,
  ],
  [
    "undici",
    "http/1.1",
    `const { request } = require("${modules}/undici")
    request(url, { method, body }).then(async (reply) => print(reply.statusCode, await reply.body.text())).catch(fail)`,
  ],
  [
    "undici, HTTP/2",
    "h2",
    `const { request, Agent } = require("${modules}/undici")
    const dispatcher = new Agent({ allowH2: true })
    request(url, { method, body, dispatcher }).then(async (reply) => print(reply.statusCode, await reply.body.text())).catch(fail).finally(() => dispatcher.close())`,
  ],
]

const pythons: readonly (readonly [name: string, needs: string[], body: string])[] = [
  [
    "Python urllib",
    [],
    `import urllib.request, urllib.error
try:
    reply = urllib.request.urlopen(urllib.request.Request(url, body, method=method))
except urllib.error.HTTPError as error:
    reply = error
print(reply.status, reply.read().decode(), end="")`,
  ],
  [
    "Python requests",
    ["/usr/lib/python3/dist-packages/requests"],
    `import requests
reply = requests.request(method, url, data=body)
print(reply.status_code, reply.text, end="")`,
  ],
  [
    "Python httpx",
    ["/usr/lib/python3/dist-packages/httpx"],
    `import httpx
reply = httpx.request(method, url, content=body)
print(reply.status_code, reply.text, end="")`,
  ],
]

/** Shell: a command with options of its own, and further ones where there is a body. */
const posting = (command: string, body: string): string =>
  `if [ "$1" = POST ]; then set -- "$@" ${body}"$WORD"; fi\nmethod=$1; shift\n${command}$method "$@"\n`

const curl = (version: string): Pick<Fetcher, "files" | "fetch"> => ({
  files: {
    "fetch.sh": posting(
      `exec curl -sS -m 20 ${version} -w ' %{http_code} %{http_version}' -X `,
      "-d ",
    ),
  },
  fetch: "sh fetch.sh",
})

const fetchers: readonly Fetcher[] = [
  {
    name: "curl, HTTP/1.1",
    needs: ["curl"],
    ...curl("--http1.1"),
    executable: /\/curl$/,
    protocol: "http/1.1",
  },
  {
    name: "curl, HTTP/2",
    needs: ["curl"],
    ...curl("--http2"),
    executable: /\/curl$/,
    protocol: "h2",
  },
  {
    name: "wget",
    needs: ["wget"],
    files: {
      "fetch.sh": posting(
        "exec wget -nv -T 20 -t 1 -O - --content-on-error --method=",
        "--body-data=",
      ),
    },
    fetch: "sh fetch.sh",
    executable: /\/wget$/,
    protocol: "http/1.1",
  },
  ...nodes.map(([name, protocol, body]): Fetcher => ({
    name,
    needs: ["node"],
    files: { "fetch.cjs": node(body) },
    fetch: "node fetch.cjs",
    executable: /\/node$/,
    protocol,
  })),
  ...pythons.map(([name, needs, body]): Fetcher => ({
    name,
    needs: ["python3", ...needs],
    files: { "fetch.py": python(body) },
    fetch: "python3 fetch.py",
    executable: /\/python3[.\d]*$/,
    protocol: "http/1.1",
  })),
  ...(["HTTP_1_1", "HTTP_2"] as const).map((version): Fetcher => ({
    name: `Java HttpClient, ${version}`,
    needs: ["javac"],
    files: { "Fetch.java": java, "fetch.sh": `exec java -cp . Fetch "$1" "$2" ${version}` },
    prepare: "javac Fetch.java",
    fetch: "sh fetch.sh",
    executable: /\/java$/,
    protocol: version === "HTTP_2" ? "h2" : "http/1.1",
  })),
  {
    name: "Java HttpURLConnection",
    needs: ["javac"],
    files: { "Fetch.java": oldJava },
    prepare: "javac Fetch.java",
    fetch: "java -cp . Fetch",
    executable: /\/java$/,
    protocol: "http/1.1",
  },
  {
    name: "Go net/http",
    needs: ["go"],
    files: { "fetch.go": go },
    prepare: "go build -o fetch fetch.go",
    fetch: "./fetch",
    executable: /\/fetch$/,
    protocol: "h2",
  },
  {
    name: "PHP streams",
    needs: ["php"],
    files: { "fetch.php": php },
    fetch: "php fetch.php",
    executable: /\/php[.\d]*$/,
    protocol: "http/1.1",
  },
  {
    name: "PHP curl",
    needs: ["php", "/usr/lib/php/*/curl.so"],
    files: { "fetch.php": phpCurl },
    fetch: "php fetch.php",
    executable: /\/php[.\d]*$/,
    protocol: "h2",
  },
  {
    name: "Ruby net/http",
    needs: ["ruby"],
    files: { "fetch.rb": ruby },
    fetch: "ruby fetch.rb",
    executable: /\/ruby[.\d]*$/,
    protocol: "http/1.1",
  },
]

const clients = fetchers.map(({ fetch, protocol, refused, ...rest }): Client => ({
  rules: ["GET,HEAD https://allowed.test/open/**"],
  allowed: `${fetch} GET https://allowed.test/open/page`,
  prints: /hello from allowed\.test over tls/,
  requests: [{ method: "GET", host: "allowed.test", path: "/open/page", status: 200, protocol }],
  denied: `${fetch} GET "https://allowed.test/closed/$WORD"; ${fetch} POST https://allowed.test/open/page`,
  reasons: ["path-not-allowed", "method-not-allowed"],
  refused: refused ?? /\b403\b/,
  ...rest,
}))

t.test("clients that fetch", { skip: whyNoLab() ?? false, timeout: 290_000 }, async (t) =>
  tryClients(t, await labFor(t, {}), clients),
)
