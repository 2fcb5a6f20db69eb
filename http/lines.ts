/** Lines of a head that go on, taken out of the text that they came in. Pure. */

/** Most lines go on as they came, side by side: they are cut out in one piece. */
export class Lines {
  readonly #from: string
  #written = ""
  #start = 0
  #end = 0

  /** @param from the text of the head */
  constructor(from: string) {
    this.#from = from
  }

  /** A stretch of the text goes on. */
  keep(start: number, end: number): void {
    if (start === this.#end) {
      this.#end = end
      return
    }
    this.#flush()
    this.#start = start
    this.#end = end
  }

  /** Something else stands in this place. */
  write(text: string): void {
    this.#flush()
    this.#start = 0
    this.#end = 0
    this.#written += text
  }

  /** What goes on. Called once. */
  text(): string {
    this.#flush()
    return this.#written
  }

  #flush(): void {
    if (this.#start < this.#end) this.#written += this.#from.slice(this.#start, this.#end)
  }
}
