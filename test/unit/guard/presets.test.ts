import { readFileSync } from "node:fs"
import { join } from "node:path"
import t from "tap"
import { presetNames, readPresets } from "../../../guard/presets.ts"
import { managerNames } from "../../../managers/ask.ts"
import { parsePolicy, usedPresets } from "../../../policies/parse.ts"
import { parsePreset } from "../../../policies/presets.ts"
import { widthOf } from "../../../policies/suffixes.ts"
import { hostOf } from "../../../policies/target.ts"
import { directory, home, machine } from "../managers/machine.ts"

const folder = join(import.meta.dirname, "../../../policies/presets")
const shipped = presetNames().map((name) =>
  parsePreset(name, readFileSync(join(folder, `${name}.yml`), "utf8")),
)

t.test("every shipped preset says what it is for, and where each host is documented", async (t) => {
  t.ok(shipped.length >= 40)
  for (const { name, about, manager, lines } of shipped) {
    t.match(name, /^[a-z0-9]+(?:-[a-z0-9]+)*$/)
    t.match(about, /^.{10,140}\.$/, `${name}: about`)
    t.ok(manager === null || managerNames().includes(manager), `${name}: manager`)
    // A manager that says its own default needs no line here.
    t.ok(lines.length > 0 || manager !== null, name)
    for (const { why, documentation, line } of lines) {
      t.ok(URL.canParse(documentation), `${name}, line ${line}: source`)
      t.match(documentation, /^https:\/\//, `${name}, line ${line}: source`)
      t.match(why, /^\S.{2,140}[^.]$/, `${name}, line ${line}: why`)
    }
  }
})

t.test("every shipped preset has each target once, sorted by host", async (t) => {
  for (const { name, lines } of shipped) {
    const targets = lines.map(({ rule }) => (typeof rule === "string" ? rule : rule.to))
    t.equal(new Set(targets).size, targets.length, `${name}: twice`)
    const keys = targets.map(
      (target) =>
        target
          .replace(/^(?:[A-Z,]+ )?(?:https?:\/\/)?/, "")
          .replace(/^\*+\./, "")
          .split(/[:/]/)[0] ?? "",
    )
    t.same(
      keys,
      keys.toSorted((one, other) => (one < other ? -1 : 1)),
      `${name}: order`,
    )
  }
})

t.test(
  "no shipped preset is wide without saying so, and none opens a whole bucket host",
  async (t) => {
    const shared =
      /(?:blob\.core\.windows\.net|amazonaws\.com|cloudfront\.net|storage\.googleapis\.com|r2\.cloudflarestorage\.com|github\.io|pkg\.dev)$/
    for (const { name, lines } of shipped) {
      for (const { rule } of lines) {
        const to = typeof rule === "string" ? rule : rule.to
        const wide = typeof rule !== "string" && rule.wide === true
        const host = to.replace(/^(?:[A-Z,]+ )?(?:https?:\/\/)?/, "").split(/[:/]/)[0] ?? ""
        t.ok(wide || !host.includes("*") || !shared.test(host), `${name}: ${to}`)
        const whole = /^(?:storage\.googleapis\.com|s3\.amazonaws\.com)$/.test(host)
        t.ok(!whole || /^GET,HEAD https:\/\/[^/]+\/[\w-]+\/\*\*$/.test(to), `${name}: ${to}`)
      }
    }
  },
)

t.test("every manager that can be asked has a preset of its name", async (t) => {
  for (const manager of managerNames()) {
    t.ok(shipped.some(({ name, manager: asked }) => name === manager && asked === manager))
  }
})

t.test("readPresets() leaves out what is no preset, and reads no other file", async (t) => {
  const presets = readPresets(["npm", "nope", "../presets", "npm.yml", "", "npm"], machine({}))
  t.same([...presets.keys()], ["npm"])
})

t.test(
  "readPresets() puts the registry that the project uses in the place of the default",
  async (t) => {
    const surroundings = machine({
      [`${directory}/.npmrc`]: "registry=https://registry.example.com/npm/",
      [`${home}/.npmrc`]: "@acme:registry=http://acme.example.com:4873",
    })
    const { lines, resolvePrivate, notes } = readPresets(["npm"], surroundings).get("npm") ?? {
      lines: [],
      resolvePrivate: [],
      notes: [],
    }
    t.same(
      lines.map(({ text, source, line }) => [text, source, line]),
      [
        ["registry.example.com", `preset npm (${directory}/.npmrc)`, 1],
        ["acme.example.com:4873", `preset npm (${home}/.npmrc)`, 1],
      ],
    )
    t.same(resolvePrivate, ["acme.example.com"])
    t.same(notes, [])
  },
)

/** As a command reads a policy: which presets it uses, what they mean here, then the whole. */
function policyOf(text: string, surroundings: Parameters<typeof readPresets>[1]) {
  const presets = readPresets(usedPresets(text), surroundings)
  const names = presetNames()
  return parsePolicy(text, { source: "sluice.yml", environment: {}, presets, presetNames: names })
}

t.test("a policy that uses npm allows the private mirror that .npmrc names", async (t) => {
  const path = `${home}/.npmrc`
  const surroundings = machine({ [path]: "\nregistry=https://u:s3cret@registry.example.com:8443/" })
  const { policy } = policyOf("use: [npm]", surroundings)
  t.same(policy?.rules, [
    {
      effect: "allow",
      target: {
        kind: "host",
        host: { pattern: "registry.example.com" },
        ports: { first: 8443, last: 8443 },
        transport: "tcp",
      },
      by: null,
      step: null,
      token: null,
      up: null,
      wide: false,
      origin: {
        source: `preset npm (${path})`,
        line: 2,
        column: 1,
        text: "registry.example.com:8443",
      },
    },
  ])
  t.same(policy?.resolvePrivate, [{ pattern: "registry.example.com" }])
})

t.test("every shipped preset parses as a part of a policy, none is wide", async (t) => {
  for (const name of presetNames()) {
    const { policy, problems } = policyOf(`use: [${name}]`, machine({}))
    t.same(problems, null, name)
    for (const rule of policy?.rules ?? []) {
      const host = hostOf(rule.target)
      t.ok(host !== null, `${name}: ${rule.origin.text}`)
      if (host !== null) t.equal(widthOf(host), null, `${name}: ${rule.origin.text}`)
      t.equal(rule.origin.source, `preset ${name}`)
      t.ok(rule.origin.line > 0)
    }
  }
  const all = policyOf(`use: [${presetNames().join(", ")}]`, machine({}))
  t.same(all.problems, null, "all of them together")
})

t.test("whatever a configuration says, what it adds parses", async (t) => {
  const hosts = [
    "https://registry.example.com",
    "http://[2001:db8::1]:8080/",
    "https://[2001:db8::1]/",
    "http://198.51.100.7/",
    "https://10.0.0.7/",
    "https://REGISTRY.example.com./",
    "https://b\u00fccher.example/",
    "https://co.uk/",
    "https://xn--bcher-kva.example:65535/",
  ]
  for (const url of hosts) {
    const { policy, problems } = policyOf(
      "use: [npm]",
      machine({ [`${home}/.npmrc`]: `registry=${url}` }),
    )
    t.same(problems, null, url)
    t.equal(policy?.rules.length, 1, url)
  }
})
