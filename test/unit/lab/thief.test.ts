import t from "tap"
import type { Record_ } from "../../../lab/evidence.ts"
import { loot, thief, tokenBytesMax, ways } from "../../../lab/thief.ts"

const token = "deploy-0123456789abcdef"
const hex = Buffer.from(token).toString("hex")

const http = (address: string, key: string, said = token): Record_ => ({
  kind: "http",
  at: `${address}:443`,
  text: `POST /${key} host x ${key} ${said}`,
})

void t.test("loot() tells who received the token, and how", (t) => {
  const cases: [string, Record_, string[], string[], number][] = [
    ["by name", http("::ffff:198.51.100.66", "by-name"), ["by-name"], [], 1],
    ["by name over IPv6", http("2001:db8::66", "by-name"), ["by-name"], [], 1],
    ["by address", http("198.51.100.66", "by-address"), ["by-address"], [], 1],
    ["diverted", http("::ffff:198.51.100.11", "borrowed-name"), [], ["borrowed-name"], 0],
    ["not diverted", http("::ffff:198.51.100.66", "borrowed-name"), ["borrowed-name"], [], 1],
    [
      "labels in any case",
      { kind: "name", at: "203.0.113.53", text: `${hex.toUpperCase()}.eViL.test` },
      ["by-labels"],
      [],
      1,
    ],
    ["UDP", { kind: "datagram", at: "udp 192.0.2.2", text: `by-udp ${token}` }, ["by-udp"], [], 1],
    ["a name without a token", { kind: "name", at: "x", text: "evil.test" }, [], [], 1],
    ["a server name", { kind: "tls", at: ":443", text: "evil.test" }, [], [], 1],
    ["another's name", { kind: "name", at: "x", text: "notevil.test" }, [], [], 0],
    ["another token", http("198.51.100.66", "by-name", "other"), [], [], 1],
    ["the registry's work", http("198.51.100.11", "left-padder", ""), [], [], 0],
  ]
  for (const [what, record, attacker, registry, contacts] of cases) {
    const found = loot([record], token)
    t.same(
      found.attacker.map(({ key }) => key),
      attacker,
      what,
    )
    t.same(
      found.registry.map(({ key }) => key),
      registry,
      what,
    )
    t.equal(found.contacts.length, contacts, what)
  }
  t.end()
})

void t.test("the thief knows every way, and its label holds the longest token", (t) => {
  for (const { key } of ways) t.match(thief, `"${key}`)
  t.ok(tokenBytesMax * 2 <= 63)
  t.ok(token.length <= tokenBytesMax)
  t.end()
})
