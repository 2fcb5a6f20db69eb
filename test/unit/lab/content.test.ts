import { createHash } from "node:crypto"
import t from "tap"
import { content, contentDigest } from "../../../lab/content.ts"

void t.test("content() has the length that was asked for", (t) => {
  for (const bytes of [0, 1, 3, 65_535, 65_536, 65_537, 200_000]) {
    const blocks = [...content(bytes)]
    t.equal(
      blocks.reduce((sum, block) => sum + block.length, 0),
      bytes,
    )
    const whole = createHash("sha256").update(Buffer.concat(blocks)).digest("hex")
    t.equal(contentDigest(bytes), whole)
  }
  t.end()
})

void t.test(
  "content() repeats no block, so that a digest sees one that is lost or doubled",
  (t) => {
    const blocks = [...content(20 * 65_536)].map((block) => block.toString("latin1"))
    t.equal(new Set(blocks).size, blocks.length)
    t.end()
  },
)

void t.test("content() is the same in each run", (t) => {
  t.equal(
    contentDigest(100_000),
    "72b67f6d295c4c0123a9941569da2c05294eae5c017c3743555b25ad7183588b",
  )
  t.end()
})
