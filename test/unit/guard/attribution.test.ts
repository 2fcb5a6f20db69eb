import t from "tap"
import { Attribution } from "../../../guard/attribution.ts"
import { flow, name, node, request } from "../events/samples.ts"

const of = (id: string) => ({ atMs: 1, body: { ...flow, flow: id, process: null } })
const never = () => Promise.reject(new Error("must not be asked again"))

t.test("Attribution tells who opened a flow with its event, once", (t) => {
  const attribution = new Attribution(never, "build")
  void attribution.of("w-1", () => node)
  const [event, ...more] = attribution.signed([of("w-1")])
  t.strictSame(event, { atMs: 1, body: { ...of("w-1").body, process: node, step: "build" } })
  t.strictSame(more, [])
  t.strictSame(attribution.signed([of("w-1")]), [of("w-1")], "it is forgotten with its event")
  t.end()
})

t.test("Attribution believes itself, and not what the gate says", (t) => {
  const attribution = new Attribution(never, "build")
  void attribution.of("w-1", () => null)
  const forged = { atMs: 1, body: { ...flow, flow: "w-1", process: node, step: "deploy" } }
  t.match(attribution.signed([forged]), [{ body: { process: null, step: null } }])
  t.end()
})

t.test("Attribution leaves events alone that are of no flow it knows", (t) => {
  const attribution = new Attribution(never, null)
  void attribution.of("1", () => node)
  const events = [of("w-9"), { atMs: 2, body: name }, { atMs: 3, body: request }]
  t.strictSame(attribution.signed(events), events)
  t.match(attribution.signed([of("1")]), [{ body: { process: node, step: null } }])
  t.end()
})

t.test("Attribution finds once, when a flow is opened, and not later", (t) => {
  const attribution = new Attribution(never, null)
  void attribution.of("w-1", () => node)
  const later = attribution.of("w-1", () => t.fail("found again") as never)
  t.strictSame(later, { process: node, step: null })
  attribution.forget("w-1")
  t.strictSame(
    attribution.of("w-1", () => null),
    { process: null, step: null },
  )
  t.end()
})

t.test("Attribution waits for what can only be found later", async (t) => {
  let found: () => void = () => {}
  const attribution = new Attribution(
    () => new Promise((resolve) => (found = () => resolve(node))),
    null,
  )
  const owner = attribution.of("w-1", () => "later")
  t.ok(owner instanceof Promise)
  t.equal(attribution.pending([of("w-2"), { atMs: 1, body: name }]), null)
  const pending = attribution.pending([of("w-2"), of("w-1")])
  found()
  await pending
  t.equal(attribution.pending([of("w-1")]), null)
  t.match(attribution.signed([of("w-1")]), [{ body: { process: node } }])
})
