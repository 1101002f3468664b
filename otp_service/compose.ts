/** Puts a service together from what it stands on; how that is opened and closed is its owner's matter. */
import { Authority, type AuthorityOptions } from "./authority.ts";
import { Ceremony } from "./ceremony.ts";
import { ChangePin } from "./change_pin.ts";
import { Esp, type EspOptions } from "./esp.ts";
import { People } from "./people.ts";
import type { Pins } from "./pin.ts";
import { ESP_RESPONSE } from "./routes_esign.ts";
import type { Secrets } from "./secrets.ts";
import { Tickets } from "./tickets.ts";
import type { Service } from "./service.ts";
import type { KeyType } from "./rows.ts";

type Made =
  | "authority"
  | "people"
  | "ceremony"
  | "changePin"
  | "tickets"
  | "esp"
  | "validationData";

export interface ServiceOptions
  extends Omit<Service, Made>, Pick<AuthorityOptions, "issuer" | "earlier" | "policy"> {
  secrets: Secrets;
  pins: Pins;
  /** Of new credentials. */
  keyType: KeyType;
  /** The provider of eSign, if there is one. */
  esp?: Omit<EspOptions, "reader" | "store" | "responseUrl" | "validationData" | "tsa">;
  /** Collects validation data, for which the service itself may be asked. */
  validationDataFor(service: () => Service): Service["validationData"];
}

/** A service of these parts. */
export function composeService(options: ServiceOptions): Service {
  const { secrets, pins, issuer, earlier, policy, keyType, esp, validationDataFor, ...parts } =
    options;
  const { store, ways, clients, keys, publicUrl, name, organization, country, otpDigits, tsa } =
    parts;
  const authority = new Authority(
    { issuer, earlier, policy, country, organization, publicUrl },
    store,
  );
  const people = new People({
    store,
    secrets,
    pins,
    ways,
    keys,
    authority,
    keyType,
    publicUrl,
    serviceName: name,
  });
  const ceremony = new Ceremony({
    store,
    secrets,
    pins,
    ways,
    people,
    otpDigits,
    clientName: (id) => clients.find((each) => each.id === id)?.name ?? id,
  });
  const validationData = validationDataFor(() => service);
  const responseUrl = publicUrl + ESP_RESPONSE;
  const service: Service = {
    ...parts,
    authority,
    people,
    ceremony,
    tickets: new Tickets(store, secrets),
    changePin: new ChangePin({ store, pins, people, ceremony }),
    esp: esp && new Esp({ ...esp, reader: parts.reader, store, tsa, validationData, responseUrl }),
    validationData,
  };
  return service;
}
