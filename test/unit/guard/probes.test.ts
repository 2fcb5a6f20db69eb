import t from "tap"
import { attempt, find } from "../../../guard/attempt.ts"
import { droppingForwards, resolvers } from "../../../guard/machine-probes.ts"
import { isAtLeast, node } from "../../../guard/probes.ts"

void t.test("isAtLeast() compares versions by number, whatever stands around them", (t) => {
  const table: readonly (readonly [string, readonly number[], boolean])[] = [
    ["6.1.0-13-amd64", [5, 12], true],
    ["5.12.0", [5, 12], true],
    ["5.9.1", [5, 12], false],
    ["5.4.0-150-generic", [5, 12], false],
    ["20.20.2", [20, 20], true],
    ["20.9.0", [20, 20], false],
    ["1.0.6", [1, 0, 6], true],
    ["1.0.2", [1, 0, 6], false],
    ["1.1", [1, 0, 6], true],
    ["", [1], false],
    ["nonsense", [0], false],
  ]
  for (const [version, wanted, answer] of table)
    t.equal(isAtLeast(version, wanted), answer, version)
  t.match(node("18.0.0"), { state: "fail", cure: /newer Node/ })
  t.end()
})

void t.test("resolvers() reads what resolv.conf names", (t) => {
  t.match(resolvers("# x\nnameserver 192.0.2.1\nsearch a.test\n nameserver 2001:db8::1\n"), {
    state: "ok",
    found: "192.0.2.1, 2001:db8::1",
  })
  t.match(resolvers("search a.test\n"), { state: "warn", cure: /--upstream-dns/ })
  t.end()
})

void t.test(
  "droppingForwards() finds chains that drop what is forwarded, and survives any text",
  (t) => {
    const listing = {
      nftables: [
        { metainfo: {} },
        {
          chain: {
            family: "ip",
            table: "filter",
            name: "FORWARD",
            hook: "forward",
            policy: "drop",
          },
        },
        { chain: { family: "ip", table: "filter", name: "INPUT", hook: "input", policy: "drop" } },
        {
          chain: {
            family: "ip6",
            table: "filter",
            name: "FORWARD",
            hook: "forward",
            policy: "accept",
          },
        },
      ],
    }
    t.same(droppingForwards(JSON.stringify(listing)), ["ip filter FORWARD"])
    for (const text of ["", "{", "{}", "null"]) t.same(droppingForwards(text), [])
    t.end()
  },
)

void t.test(
  "attempt() tells done, failed and absent apart, and passes nothing of our environment",
  async (t) => {
    t.match(await attempt("sh", ["-c", "cat; echo $HOME$SECRET"], "in\n"), {
      kind: "done",
      out: "in\n\n",
    })
    t.match(await attempt("sh", ["-c", "echo no >&2; exit 3"]), { kind: "failed", err: "no\n" })
    t.match(await attempt("no-such-program", []), { kind: "absent" })
    t.equal(find("no-such-program"), null)
    t.match(find("sh"), /^\//)
  },
)
