// @ts-check
// libp2p needs Promise.withResolvers, which Node has from 22 on; with it, libp2p runs on Node 20 too.

const Base = /** @type {{ withResolvers?: unknown }} */ (/** @type {unknown} */ (Promise))
Base.withResolvers ??= function withResolvers() {
  let resolve
  let reject
  const promise = new Promise((onResolve, onReject) => {
    resolve = onResolve
    reject = onReject
  })
  return { promise, resolve, reject }
}
