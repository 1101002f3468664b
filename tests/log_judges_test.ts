/** The log's tiles, checkpoints and receipts as programs of others read them: PyPI's aics-tlog, and Go's sumdb packages. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { verifyReceipt } from "../formats/log/checkpoint.ts";
import { formatNoteKey } from "../formats/log/note.ts";
import { entryOf } from "../otp_service/audit.ts";
import { finish, inTempDir } from "./fixtures/openssl.ts";
import { withService } from "./fixtures/otp_calls.ts";
import type { TestService } from "./fixtures/otp_service.ts";
import { python } from "./fixtures/python.ts";

/** More than a tile. */
const LINES = 700;
const OLD = 300;

const PYTHON = `
import base64, json, sys, pathlib
import aics_tlog as t
root = pathlib.Path(sys.argv[1])
key = t.parse_vkey((root / "key").read_text().strip())
reader = t.FileSystemTileReader(root)
def opened(name):
    note = t.parse_note((root / name).read_text())
    assert t.verify_note(note, [key]), name
    return t.parse_checkpoint(note.text)
old, new = opened("old"), opened("checkpoint")
assert t.tree_root_from_tiles(reader, new.size) == new.root
assert t.verify_consistency(old.size, new.size, old.root, new.root,
    t.consistency_proof_from_tiles(reader, old.size, new.size))
claim = json.loads((root / "claim.json").read_text())
proof = [base64.b64decode(each) for each in claim["proof"]]
assert proof == t.inclusion_proof_from_tiles(reader, claim["index"], new.size)
assert t.verify_leaf_inclusion(base64.b64decode(claim["entry"]), claim["index"], new.size, proof, new.root)
assert not t.verify_leaf_inclusion(b"another", claim["index"], new.size, proof, new.root)
`;

const GO = `
package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	dir := os.Args[1]
	read := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join(dir, name))
		must(err)
		return data
	}
	verifier, err := note.NewVerifier(strings.TrimSpace(string(read("key"))))
	must(err)
	tree := func(name string) tlog.Tree {
		opened, err := note.Open(read(name), note.VerifierList(verifier))
		must(err)
		lines := strings.Split(opened.Text, "\\n")
		var size int64
		_, err = fmt.Sscan(lines[1], &size)
		must(err)
		root, err := tlog.ParseHash(lines[2])
		must(err)
		return tlog.Tree{N: size, Hash: root}
	}
	older, newer := tree("old"), tree("checkpoint")
	var claim struct {
		Index int64
		Entry []byte
		Proof []tlog.Hash
		Consistency []tlog.Hash
	}
	must(json.Unmarshal(read("claim.json"), &claim))
	must(tlog.CheckRecord(claim.Proof, newer.N, newer.Hash, claim.Index, tlog.RecordHash(claim.Entry)))
	must(tlog.CheckTree(claim.Consistency, newer.N, newer.Hash, older.N, older.Hash))
	if tlog.CheckRecord(claim.Proof, newer.N, newer.Hash, claim.Index, tlog.RecordHash([]byte("x"))) == nil {
		must(fmt.Errorf("another record is proven too: %s", base64.StdEncoding.EncodeToString(claim.Entry)))
	}
}
`;

const log = async (test: TestService, path: string) => {
  const response = await test.handler(new Request(`https://sign.works.example/log/${path}`));
  assert.equal(response.status, 200, path);
  return await response.bytes();
};

/** Writes what anybody can fetch of a log, and the claims of one receipt. */
async function publish(test: TestService, dir: string): Promise<void> {
  const { store } = test.service;
  const add = (count: number) =>
    store.runWithLines((tx) => {
      for (let i = 0; i < count; i++) tx.audit({ event: "otp.sent", i });
    });
  await add(OLD);
  await store.auditHead();
  await Deno.writeFile(join(dir, "old"), await log(test, "checkpoint"));
  const { lines } = await add(LINES - OLD);
  const { seq } = await store.auditHead();
  await Deno.writeFile(join(dir, "checkpoint"), await log(test, "checkpoint"));
  await Deno.writeFile(join(dir, "key"), await log(test, "key"));
  for (const [level, count] of [[0, seq], [1, Math.floor(seq / 256)]]) {
    for (let at = 0; at < count; at += 256) {
      const width = Math.min(256, count - at);
      const name = `${String(at / 256).padStart(3, "0")}${width < 256 ? `.p/${width}` : ""}`;
      const path = join(dir, "tile", String(level), name);
      await Deno.mkdir(join(path, ".."), { recursive: true });
      await Deno.writeFile(path, await log(test, `tile/${level}/${name}`));
    }
  }
  const { receipt } = (await store.log.find(entryOf(lines[5]).toHex()))!;
  const { index, proof } = verifyReceipt(receipt, store.log.signer.key, entryOf);
  const claim = {
    index,
    entry: entryOf(lines[5]).toBase64(),
    proof: proof.map((each) => each.toBase64()),
    consistency: (await store.log.consistency(OLD, seq)).map((each) => each.toBase64()),
  };
  await Deno.writeTextFile(join(dir, "claim.json"), JSON.stringify(claim));
  assert.equal(
    new TextDecoder().decode(await log(test, "key")).trim(),
    formatNoteKey(store.log.signer.key),
  );
}

const hasPython = (await python("-c", "import aics_tlog")).code === 0;
Deno.test({
  name: `aics-tlog agrees on tiles, checkpoints and proofs${
    hasPython ? "" : " (optional: needs Python 3.12 or later; deno task test:python)"
  }`,
  ignore: !hasPython,
  fn: () =>
    withService((test) =>
      inTempDir(async (dir) => {
        await publish(test, dir);
        const { code, stderr } = await python("-c", PYTHON, dir);
        assert.equal(code, 0, stderr);
      })
    ),
});

/** The folder of a Go module with golang.org/x/mod; tests fetch nothing by themselves. */
const goModule = Deno.env.get("DSIGN_TEST_GO_MODULE");
Deno.test({
  name: `Go's sumdb/note and sumdb/tlog agree on checkpoints and proofs${
    goModule
      ? ""
      : " (optional: needs Go; DSIGN_TEST_GO_MODULE names a module with golang.org/x/mod)"
  }`,
  ignore: !goModule,
  fn: () =>
    withService((test) =>
      inTempDir(async (dir) => {
        await publish(test, dir);
        const source = join(goModule!, "dsign_judge.go");
        await Deno.writeTextFile(source, GO);
        try {
          const { code, stderr } = await finish("go", {
            args: ["run", source, dir],
            cwd: goModule,
          });
          assert.equal(code, 0, stderr);
        } finally {
          await Deno.remove(source);
        }
      })
    ),
});
