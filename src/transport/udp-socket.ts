/** Keeps the socket from asking DNS for each datagram: all its addresses are literal. */
export function answerLiterally(
  hostname: string,
  family: unknown,
  callback: (error: null, address: string, family: number) => void,
): void {
  callback(null, hostname, Number(family))
}

/** How many bytes wait in the socket to be sent; `undefined` where the runtime has no such question, as Deno 2. */
export function queueOf(socket: { getSendQueueSize?: () => number }): number | undefined {
  return socket.getSendQueueSize?.()
}

/** What the system refuses stays at the system's default. */
export function enlarge(set: () => void): void {
  try {
    set()
  } catch {
    // A smaller buffer loses more in bursts, and loss is part of UDP.
  }
}
