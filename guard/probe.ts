/** The words in which a probe of the machine tells what it found. Pure. */

/** What one layer is like. */
export interface Probe {
  readonly layer: string
  /** fail: a run cannot start; warn: it can, with less. */
  readonly state: "ok" | "warn" | "fail"
  /** What was found, a phrase. */
  readonly found: string
  /** What to do; null: nothing. */
  readonly cure: string | null
}

export function ok(layer: string, found: string): Probe {
  return { layer, state: "ok", found, cure: null }
}

export function warn(layer: string, found: string, cure: string | null): Probe {
  return { layer, state: "warn", found, cure }
}

export function fail(layer: string, found: string, cure: string | null): Probe {
  return { layer, state: "fail", found, cure }
}
