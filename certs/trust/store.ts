/**
 * What programs trust, in words: the variables and files through which each is told. Pure.
 *
 * Every store has a file beside this one. It says what its programs read, and why it is told this way
 * and no other. plan.ts makes of all of them what one run needs.
 */

import type { Configured } from "./configured.ts"

/** A file as it was read, and where it really lies. */
export interface Found {
  readonly bytes: Buffer
  /** Without links (realpath(3)). */
  readonly path: string
  readonly dev: number
  readonly ino: number
}

/** The machine, as the job's user may read it. */
export interface Machine {
  readonly environment: Readonly<Record<string, string | undefined>>
  /** null: no home directory is known. */
  readonly home: string | null
  /** A plain file; null: there is none, or it cannot be read. */
  readonly read: (path: string) => Found | null
  /** The names in a directory; none where there is no such directory. */
  readonly list: (path: string) => readonly string[]
  /** The path without links; null: nothing is there. */
  readonly real: (path: string) => string | null
}

/** A variable that names a file of certificates. */
export interface Variable {
  readonly name: string
  /**
   * `whole`: the file stands in place of the program's own authorities, so it must hold all of them.
   * `beside`: it is read beside them, and holds only what is added.
   */
  readonly holds: "whole" | "beside"
  /**
   * `always`: set where it is not. `extended`: only where it is set already; without it the program
   * looks where another variable or the system's store leads.
   */
  readonly set: "always" | "extended"
}

export interface Store {
  /** The programs that it is for. */
  readonly name: string
  readonly variables: readonly Variable[]
  /**
   * Where configuration names a file of authorities. Such a file is extended in the job's view, and
   * what it holds goes into a variable of this store that would put it aside.
   */
  readonly configured?: readonly Configured[]
}
