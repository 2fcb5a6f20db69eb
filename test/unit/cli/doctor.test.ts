import t from "tap"
import { doctorCommand } from "../../../cli/doctor.ts"
import { fail, ok, warn, type Probe } from "../../../guard/probe.ts"

const good = [ok("root", "running as root"), warn("IPv6", "switched off", "nothing to do")]
const bad = [...good, fail("nft", "not installed", "sudo apt-get install nftables")]

async function run(
  argv: string[],
  probes: readonly Probe[],
): Promise<{ status: number; out: string; err: string }> {
  const said = { out: "", err: "" }
  const io = {
    out: (text: string) => void (said.out += text),
    err: (text: string) => void (said.err += text),
    environment: {},
    isTerminal: false,
    columns: 80,
  }
  const status = await doctorCommand(argv, io, () => Promise.resolve(probes))
  return { status, ...said }
}

void t.test("sluice doctor says whether the machine can enforce, and what to do", async (t) => {
  t.same(await run([], good), {
    status: 0,
    out: "  ok    root  running as root\n  warn  IPv6  switched off\n              nothing to do\n\nThis machine can enforce.\n",
    err: "",
  })
  const { status, out } = await run([], bad)
  t.equal(status, 1)
  t.match(out, /fail {2}nft {3}not installed\n {14}sudo apt-get install nftables/)
  t.match(out, "This machine cannot enforce: one thing is missing.")
})

void t.test("sluice doctor --json is for programs", async (t) => {
  const { status, out } = await run(["--json"], bad)
  t.equal(status, 1)
  t.same(JSON.parse(out), { canEnforce: false, probes: bad })
})

void t.test("sluice doctor knows its options", async (t) => {
  t.match(await run(["--help"], good), { status: 0, out: /Usage: sluice doctor/ })
  t.match(await run(["--jsn"], good), { status: 2, err: /^sluice: .*--jsn/ })
  t.match(await run(["extra"], good), { status: 2 })
})
