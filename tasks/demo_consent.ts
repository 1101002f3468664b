/** The person of the demonstration and of benchmarks. */
import type { ChooseRequest, SignRequest } from "../protocol/consent.ts";
import { DsignError } from "../protocol/errors.ts";
import type { Consent } from "../signing/consent/port.ts";
import type { DemoOfficer } from "./demo_tokens.ts";

/**
 * Says yes and knows the PINs: for the demonstration's and the benchmark's own tokens, whose PINs are no secret. No
 * command of the product can choose it.
 */
export class DemoConsent implements Consent {
  constructor(readonly officers: readonly Pick<DemoOfficer, "fingerprint" | "pin">[]) {}

  grant(): Promise<void> {
    return Promise.resolve();
  }

  choose(request: ChooseRequest): Promise<string> {
    return Promise.resolve(request.choices[0]!.id);
  }

  async sign(
    { choices, binding }: SignRequest,
    unlock: Parameters<Consent["sign"]>[1],
  ): Promise<void> {
    const { id, certificate, revision } = choices[0]!;
    const officer = this.officers.find(({ fingerprint }) => fingerprint === certificate.id);
    if (officer === undefined) throw new DsignError("certificate_not_found");
    const pin = new TextEncoder().encode(officer.pin);
    const unlocked = await unlock({ certificate: id, pin, binding, revision, finalTry: false });
    if (!unlocked.ok) throw new DsignError(unlocked.code, unlocked.message);
  }

  otp(): Promise<Uint8Array> {
    return Promise.reject(new DsignError("consent_unavailable"));
  }

  pin(): Promise<void> {
    return Promise.reject(new DsignError("consent_unavailable"));
  }
}
