/** Host names and patterns over them: parse, cover. */
declare const hostname: unique symbol

/** Lower-case ASCII labels, no trailing dot; made only by parseHostname. */
export type Hostname = string & { readonly [hostname]: true }

/** `github.com`, `*.github.com` (one label), `**.github.com` (one or more), `ab*.example.com`. */
export interface Pattern {
  /** Canonical text of the pattern, wildcards included. */
  readonly pattern: string
}
