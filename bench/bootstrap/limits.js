// @ts-check
// The options of a node whose limit by host is in force wherever its clients are.

/** @typedef {{ requestsPerSecondMax: number, limitedScopes: import('xorbit').AddressScope[] }} LimitOptions */

/** @param {number} requestsPerSecondMax @returns {LimitOptions} */
export function limitedTo(requestsPerSecondMax) {
  return { requestsPerSecondMax, limitedScopes: ['loopback', 'private', 'public'] }
}
