/** schemathesis asks the verification service what its OpenAPI document allows and forbids: a program of others. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { pem } from "../formats/asn1/pem.ts";
import { VerifyConfig } from "../verify_service/config.ts";
import { startVerifyService } from "../verify_service/server.ts";
import { READER_COMMAND } from "./fixtures/agent.ts";
import { inTempDir } from "./fixtures/openssl.ts";
import { makePki } from "./fixtures/pki.ts";
import { python } from "./fixtures/python.ts";

const here = (await python("-c", "import schemathesis")).code === 0;

Deno.test({
  name: `schemathesis finds no answer that the interface does not describe${
    here ? "" : " (optional: needs Python's schemathesis; DSIGN_TEST_PYTHON names the Python)"
  }`,
  ignore: !here,
  fn: () =>
    inTempDir(async (dir) => {
      const { root } = makePki({ officers: [] });
      await Deno.writeTextFile(join(dir, "root.crt"), pem("CERTIFICATE", root.certificate.der));
      const config = VerifyConfig.parse({
        ...{ listen: "127.0.0.1:0", trust: { india: dir }, online: false, spool: dir },
      });
      const options = { version: "1.2.3", readerCommand: READER_COMMAND };
      const service = await startVerifyService(config, options);
      try {
        const { code, stdout } = await python(
          ...["-m", "schemathesis.cli", "run", `${service.address}/v1/openapi.json`],
          // files of random bytes are refused, however well the form is filled in
          ...["--checks", "all", "--exclude-checks", "positive_data_acceptance"],
          ...["--phases", "coverage,fuzzing", "--max-examples", "30", "--seed", "7"],
          ...["--no-color", "--generation-database", "none"],
        );
        assert.equal(code, 0, stdout);
      } finally {
        await service.close();
      }
    }),
});
