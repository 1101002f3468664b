/** The proof of an agent that lives as long as a test, for fakes that pages connect to. */
import { AgentIdentity } from "../../agent/identity.ts";

const identity = await AgentIdentity.load();

export const prove: AgentIdentity["prove"] = (...asked) => identity.prove(...asked);
