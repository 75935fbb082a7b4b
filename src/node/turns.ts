/** A slow disk must not have a flood wait for it. */
const WAITING_MAX = 64

type Task = (done: () => void) => void

/**
 * Lets those who read and then write the records of one key do so one after the other. A store on a disk answers
 * later: two writers that had both read the old record would else undo each other.
 */
export class Turns {
  /** Who waits for each name; a name that is in it is taken. */
  #waiting: Map<string, Task[]> | undefined

  /**
   * Runs the task when all earlier ones of the name are done, at once where there are none.
   *
   * @returns false when too many wait already: it will not run
   */
  take(name: string, task: Task): boolean {
    this.#waiting ??= new Map()
    const waiting = this.#waiting.get(name)
    if (waiting && waiting.length >= WAITING_MAX) return false
    if (waiting) {
      waiting.push(task)
    } else {
      this.#waiting.set(name, [])
      this.#run(name, task)
    }
    return true
  }

  #run(name: string, first: Task): void {
    // A loop, as tasks that are done at once would else nest as deep as there are of them.
    let task: Task | undefined = first
    while (task) {
      let isDone = false
      let isLater = false
      const current: Task = task
      task = undefined
      current(() => {
        if (isDone) return
        isDone = true
        if (isLater) this.#next(name)
      })
      isLater = true
      if (isDone) task = this.#shift(name)
    }
  }

  #next(name: string): void {
    const task = this.#shift(name)
    if (task) this.#run(name, task)
  }

  #shift(name: string): Task | undefined {
    const task = this.#waiting?.get(name)?.shift()
    if (!task) this.#waiting?.delete(name)
    return task
  }
}
