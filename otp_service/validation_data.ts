/** Validation data for signatures of level B-LT, for the PIN/OTP service. */
import { Online } from "../online/services.ts";
import { publicFetch } from "../online/pki_http.ts";
import { createHandler } from "./server.ts";
import type { Service } from "./service.ts";

const TIMEOUT = 30_000;

/**
 * Collects validation data. The service's own are made here, as a server often cannot reach itself by its public name. The
 * department's network is reached too: only addresses in certificates of authorities that the administrator chose are asked.
 */
export function validationDataFor(service: () => Service): Service["validationData"] {
  const outside = publicFetch(() => true);
  let own: ReturnType<typeof createHandler> | undefined;
  let online: Online | undefined;
  const opened = () =>
    new Online({
      reader: service().reader,
      now: () => new Date(service().store.now()),
      pkiFetch: (url, init) => {
        const { publicUrl } = service();
        if (!url.startsWith(`${publicUrl}/ca/`)) return outside(url, init);
        own ??= createHandler(service());
        const { body, ...rest } = init;
        return own(
          new Request(`http://localhost${url.slice(publicUrl.length)}`, {
            ...rest,
            ...body && { body: new Uint8Array(body) },
          }),
        );
      },
    });
  return (of, { origin }) =>
    (online ??= opened()).validationData(of, { signal: AbortSignal.timeout(TIMEOUT), origin });
}
