/**
 * Fetching from addresses in certificates. The maker of the certificate chose the address, so it must
 * not lead to this computer or its network (SSRF), and answers are bounded in size, time and number.
 */
import { lookup as lookUp } from "node:dns";
import http from "node:http";
import https from "node:https";
import { BlockList, isIP } from "node:net";
import { digest } from "../formats/digest.ts";
import { readBounded, TooLongError } from "./http.ts";

/** One HTTP exchange, as `fetch` does it; redirects are not followed. */
export type PkiFetch = (
  url: string,
  init: { method: "GET" | "POST"; headers: Record<string, string>; body?: Uint8Array } & {
    signal: AbortSignal;
  },
) => Promise<Response>;

export interface PkiLimits {
  /** Most requests, including those after redirects. */
  requests: number;
  /** Most bytes of all answers together. */
  bytes: number;
  /** Milliseconds for one request, and for all of them. */
  requestTime: number;
  time: number;
}

export const PKI_LIMITS: PkiLimits = {
  requests: 40,
  bytes: 64 * 1024 * 1024,
  requestTime: 10_000,
  time: 30_000,
};

/** A failed download; the message is a sentence. */
export class PkiHttpError extends Error {
  override readonly name = "PkiHttpError";
}

const MAX_REDIRECTS = 3;
/** Longest address, in UTF-16 units: it is kept, and told to people. */
const MAX_ADDRESS = 2000;

/** A request that reading needs. */
export type FetchStep =
  | { get: string }
  | { post: string; type: string; accept: string; body: Uint8Array };

const encoder = new TextEncoder();

/** Names a request by its digest, so that an answer is kept under no other's name. */
export function keyOf(step: FetchStep): string {
  const parts = "get" in step
    ? [step.get]
    : [step.post, step.type, step.accept, step.body.toBase64()];
  return digest("SHA-256", encoder.encode(JSON.stringify(parts))).toHex();
}

/** Fetches for one question, within limits. */
export class PkiHttp {
  readonly #fetch: PkiFetch;
  readonly #limits: PkiLimits;
  readonly #deadline: AbortSignal;
  #requests = 0;
  #bytes = 0;

  /** @param fetch see {@linkcode publicFetch} */
  constructor(fetch: PkiFetch, signal: AbortSignal, limits: PkiLimits = PKI_LIMITS) {
    this.#fetch = fetch;
    this.#limits = limits;
    this.#deadline = AbortSignal.any([signal, AbortSignal.timeout(limits.time)]);
  }

  /** @throws {PkiHttpError} */
  get(url: string): Promise<Uint8Array> {
    return this.#request(url, { method: "GET", headers: {} });
  }

  /** @throws {PkiHttpError} */
  post(url: string, type: string, accept: string, body: Uint8Array): Promise<Uint8Array> {
    const headers = { "content-type": type, accept };
    return this.#request(url, { method: "POST", headers, body });
  }

  async #request(
    address: string,
    init: Omit<Parameters<PkiFetch>[1], "signal">,
  ): Promise<Uint8Array> {
    let url = address;
    for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
      if (url.length > MAX_ADDRESS) {
        throw new PkiHttpError(`${url.slice(0, 100)}… is too long for a web address.`);
      }
      const parsed = URL.parse(url);
      if (parsed?.protocol !== "http:" && parsed?.protocol !== "https:") {
        throw new PkiHttpError(`${url} is not a web address.`);
      }
      if (++this.#requests > this.#limits.requests) {
        throw new PkiHttpError("Too many downloads are needed.");
      }
      const signal = AbortSignal.any([
        this.#deadline,
        AbortSignal.timeout(this.#limits.requestTime),
      ]);
      try {
        const response = await this.#fetch(parsed.href, { ...init, signal });
        const location = response.headers.get("location");
        if (response.status >= 300 && response.status < 400 && location) {
          await response.body?.cancel();
          url = URL.parse(location, parsed)?.href ?? location;
          continue;
        }
        if (response.status !== 200) {
          await response.body?.cancel();
          throw new PkiHttpError(`${url} answered with status ${response.status}.`);
        }
        return await this.#read(response, url);
      } catch (error) {
        if (error instanceof PkiHttpError) throw error;
        const why = signal.aborted ? "did not answer in time" : "could not be reached";
        throw new PkiHttpError(`${url} ${why}.`, { cause: error });
      }
    }
    throw new PkiHttpError(`${address} redirects too often.`);
  }

  async #read(response: Response, url: string): Promise<Uint8Array> {
    try {
      const body = await readBounded(response, this.#limits.bytes - this.#bytes);
      this.#bytes += body.length;
      return body;
    } catch (error) {
      if (!(error instanceof TooLongError)) throw error;
      this.#bytes = this.#limits.bytes; // stops further reading for this question
      throw new PkiHttpError(`${url} sends too much data.`);
    }
  }
}

/** Addresses outside the public network (IANA special-purpose registries). */
const reserved = new BlockList();
for (
  const [net, bits] of [
    ["0.0.0.0", 8],
    ["10.0.0.0", 8],
    ["100.64.0.0", 10],
    ["127.0.0.0", 8],
    ["169.254.0.0", 16],
    ["172.16.0.0", 12],
    ["192.0.0.0", 24],
    ["192.168.0.0", 16],
    ["198.18.0.0", 15],
    ["224.0.0.0", 3],
  ] as const
) reserved.addSubnet(net, bits, "ipv4");
const globalIpv6 = new BlockList();
globalIpv6.addSubnet("2000::", 3, "ipv6");
/** Addresses that contain IPv4 addresses (6to4, Teredo), or are for documentation. */
const reservedIpv6 = new BlockList();
reservedIpv6.addSubnet("2001::", 23, "ipv6");
reservedIpv6.addSubnet("2001:db8::", 32, "ipv6");
reservedIpv6.addSubnet("2002::", 16, "ipv6");

/** Whether an IP address is in the public network. */
export function isPublicAddress(address: string): boolean {
  switch (isIP(address)) {
    case 4:
      return !reserved.check(address, "ipv4");
    case 6:
      return globalIpv6.check(address, "ipv6") && !reservedIpv6.check(address, "ipv6");
    default:
      return false;
  }
}

/** The fetch that a configuration allows: the public network, and with `intranetServices` private ones too. */
export const configuredFetch = ({ intranetServices }: { intranetServices: boolean }): PkiFetch =>
  publicFetch(intranetServices ? () => true : isPublicAddress);

/**
 * A fetch that reaches the public network only. The name is looked up once, and the connection goes to
 * exactly the address that was judged (a second look-up could give another: DNS rebinding).
 *
 * @param isAllowed judges an IP address
 */
export function publicFetch(isAllowed: (address: string) => boolean = isPublicAddress): PkiFetch {
  return (url, { method, headers, body, signal }) =>
    new Promise((resolve, reject) => {
      const { protocol, hostname } = new URL(url);
      const refused = () => new PkiHttpError(`${url} leads into a private network.`);
      // Literal addresses need no lookup.
      const literal = hostname.replace(/^\[|\]$/g, "");
      if (isIP(literal) && !isAllowed(literal)) return reject(refused());
      const request = (protocol === "https:" ? https : http).request(url, {
        method,
        headers: { ...headers, ...(body ? { "content-length": body.length } : {}) },
        signal,
        agent: false, // judge each connection separately
        lookup(host, options, done) {
          lookUp(host, { ...options, all: true }, (error, found) => {
            if (error) return done(error, []);
            const allowed = found.filter(({ address }) => isAllowed(address));
            if (allowed.length === 0) return done(refused(), []);
            if (options.all) done(null, allowed);
            else done(null, allowed[0].address, allowed[0].family);
          });
        },
      }, (answer) => {
        const stream = new ReadableStream<Uint8Array>({
          async start(controller) {
            try {
              for await (const piece of answer) controller.enqueue(new Uint8Array(piece));
              controller.close();
            } catch (error) {
              controller.error(error);
            }
          },
          cancel: () => void answer.destroy(),
        });
        const { location } = answer.headers;
        const status = answer.statusCode ?? 502;
        resolve(
          new Response([204, 304].includes(status) ? null : stream, {
            status: status >= 200 && status < 600 ? status : 502,
            headers: location ? { location } : {},
          }),
        );
      });
      request.on("error", reject);
      request.end(body);
    });
}
