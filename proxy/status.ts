/** The status of an HTTP/1 reply, read from its first line for the event log. Pure. */

/** Most bytes of replies looked at: several interim ones have room. */
const lookedAtMax = 16_384

/** Reads the final status from the beginning of a reply; interim ones (1xx) are passed over. */
export class StatusReader {
  #text = ""
  #status: number | null = null
  #over = false

  /** null: not known, or not to be known. */
  get status(): number | null {
    return this.#status
  }

  /** Whether further bytes cannot change the answer. */
  get over(): boolean {
    return this.#over
  }

  push(bytes: Uint8Array): void {
    if (this.#over) return
    const room = lookedAtMax - this.#text.length
    this.#text += Buffer.from(bytes.subarray(0, room)).toString("latin1")
    for (;;) {
      const line = /^HTTP\/1\.[01] (\d{3})(?:[ \r\n])/.exec(this.#text)
      if (line === null) break
      const status = Number(line[1])
      this.#status = status
      const interim = status >= 100 && status < 200 && status !== 101
      const end = this.#text.indexOf("\r\n\r\n")
      if (!interim) {
        this.#finish()
        return
      }
      if (end === -1) break
      this.#text = this.#text.slice(end + 4)
    }
    if (this.#text.length >= lookedAtMax) this.#finish()
  }

  #finish(): void {
    this.#over = true
    this.#text = ""
  }
}
