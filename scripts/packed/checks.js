// @ts-check

/** Prints a line for each check, and remembers whether one failed. */
export class Checks {
  #failed = 0

  /**
   * @param {string} name
   * @param {() => unknown} run - what it returns is printed beside the name; it fails by throwing
   * @returns whether it is ok
   */
  async check(name, run) {
    try {
      const note = await run()
      console.log(`ok      ${name}${note ? `: ${note}` : ''}`)
      return true
    } catch (error) {
      this.#failed++
      const text = error instanceof Error ? error.message : String(error)
      console.log(`not ok  ${name}\n${text.replace(/^/gm, '        ')}`)
      return false
    }
  }

  /** @returns the status that the process should end with */
  get exitCode() {
    return this.#failed > 0 ? 1 : 0
  }
}
