/**
 * How an agent proves to a page which agent it is: by a P-256 key. Without that, any program that has one of
 * the known ports first could take a page's documents.
 */

/**
 * The text that the agent signs (ECDSA, SHA-256). The port is the one at which the agent was called: a program that
 * stands between page and agent was called at another one.
 *
 * @param nonce Base64, as the page sent it
 */
export const proofText = (origin: string, port: number, nonce: string): string =>
  `dsign agent proof 1\n${origin}\n${port}\n${nonce}`;

/** The text by which a key names the one that comes after it; `key` is the successor. */
export const successorText = (key: string): string => `dsign agent successor 1\n${key}`;
