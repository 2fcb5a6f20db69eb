/** Numbers that nobody can predict, cheap enough for one per question. */
import { randomFillSync } from "node:crypto"

/** Drawn by the thousand: one draw from the kernel costs as much as a small message. */
const drawn = Buffer.alloc(4096)
let drawnAt = drawn.length

/** 0 to 2³² - 1. */
export function randomWord(): number {
  if (drawnAt + 4 > drawn.length) {
    randomFillSync(drawn)
    drawnAt = 0
  }
  drawnAt += 4
  return drawn.readUInt32LE(drawnAt - 4)
}

/** 0 to `limit` - 1; `limit` is far below 2³², so that no number is likelier by much. */
export function randomBelow(limit: number): number {
  return randomWord() % limit
}
