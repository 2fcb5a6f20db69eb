import t from "tap"
import { apt } from "../../../managers/apt.ts"
import { brief, machine } from "./machine.ts"

t.test("apt() reads lists of one line each", async (t) => {
  const found = apt(
    machine({
      "/etc/apt/sources.list": `# deb http://no.test/ x y
deb http://mirror.example.com/debian bookworm main # trailing
deb-src [arch=amd64 signed-by=/usr/share/a.gpg] https://mirror.example.com:8443/debian bookworm main
deb [ trusted=yes ] http://[2001:db8::1]/debian x y
deb cdrom:[Debian 12]/ bookworm main
deb file:/srv/repo ./
debug http://no.test/
`,
      "/etc/apt/sources.list.d/tool.list":
        "deb https://u:s3cret@tool.example.com/apt stable main\n",
      "/etc/apt/sources.list.d/ignored.save": "deb http://no.test/ x y\n",
    }),
  )
  t.same(brief(found), [
    "mirror.example.com:80 /etc/apt/sources.list:2",
    "mirror.example.com:8443 /etc/apt/sources.list:3",
    "2001:db8::1:80 /etc/apt/sources.list:4",
    "tool.example.com:443 /etc/apt/sources.list.d/tool.list:1",
  ])
  t.same(found.settled, ["sources"])
  t.notMatch(JSON.stringify(found), /s3cret/)
})

t.test("apt() reads deb822 stanzas, disabled ones aside", async (t) => {
  const path = "/etc/apt/sources.list.d/debian.sources"
  const found = apt(
    machine({
      [path]: `Types: deb
# a comment inside
URIs: http://a.example.com/debian
 https://b.example.com/debian
Suites: bookworm
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 URIs: http://no.test/

Enabled: no
URIs: http://no.test/

uris: http://c.example.com/ ftp://no.test/
`,
    }),
  )
  t.same(brief(found), [
    `a.example.com:80 ${path}:3`,
    `b.example.com:443 ${path}:4`,
    `c.example.com:80 ${path}:14`,
  ])
  t.equal(found.notes.length, 1)
})

t.test("apt() follows a list of mirrors on this machine, as GitHub's images have it", async (t) => {
  const found = apt(
    machine({
      "/etc/apt/sources.list.d/ubuntu.sources": "URIs: mirror+file:/etc/apt/apt-mirrors.txt\n",
      "/etc/apt/apt-mirrors.txt":
        "http://azure.example.com/ubuntu/\tpriority:1\nhttps://archive.example.com/ubuntu/\tpriority:2\n",
    }),
  )
  t.same(brief(found), [
    "azure.example.com:80 /etc/apt/apt-mirrors.txt:1",
    "archive.example.com:443 /etc/apt/apt-mirrors.txt:2",
  ])
  const far = apt(machine({ "/etc/apt/sources.list": "deb mirror+http://m.example.com/list x y" }))
  t.same(brief(far), ["m.example.com:80 /etc/apt/sources.list:1"])
  t.match(far.notes[0], /Mirrors in the list/)
})

t.test("apt() reads proxies of apt.conf in both notations", async (t) => {
  const path = "/etc/apt/apt.conf.d/01proxy"
  const found = apt(
    machine({
      [path]: `// Acquire::http::Proxy "http://no.test:1";
/* Acquire::http::Proxy "http://no.test:1"; */
Acquire::http::Proxy "http://u:s3cret@proxy.example.com:3142/";
Acquire {
  https { Proxy "DIRECT"; Proxy::b.example.com "http://[fd00::1]:3128"; };
  http { Timeout "3"; }
};
APT::Proxy "http://no.test:1";
`,
      "/etc/apt/apt.conf.d/ignored.dpkg-old": 'Acquire::http::Proxy "http://no.test";',
    }),
  )
  t.same(brief(found), [`proxy.example.com:3142 ${path}:3`, `fd00::1:3128 ${path}:5`])
  t.notMatch(JSON.stringify(found), /s3cret/)
})

t.test("apt() survives odd files in bounded time", async (t) => {
  // Why not by the clock: the machine may be busy with other things.
  const start = process.cpuUsage()
  for (const text of [
    "{".repeat(500_000),
    "}".repeat(500_000),
    '"'.repeat(500_000),
    "/*".repeat(500_000),
    "a ".repeat(500_000),
    " ".repeat(1_000_000),
    "deb [".repeat(200_000),
    "deb\n".repeat(200_000),
    `deb ${" ".repeat(900_000)}`,
    ":".repeat(1_000_000),
    "URIs:\n".repeat(150_000),
  ]) {
    apt(
      machine({
        "/etc/apt/sources.list": text,
        "/etc/apt/sources.list.d/x.sources": text,
        "/etc/apt/apt.conf": text,
      }),
    )
  }
  const { user, system } = process.cpuUsage(start)
  const tookMs = (user + system) / 1_000
  t.ok(tookMs < 5_000, `${tookMs} ms`)
})
