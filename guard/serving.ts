/** What a role of a gate process gives back once it serves. */
export interface Serving {
  /** Ends every flow and records how it ended. */
  readonly stop: () => Promise<void>
}
