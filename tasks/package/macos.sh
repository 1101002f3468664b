#!/bin/sh
# Makes a .pkg for macOS: D-Sign.app, and dsign in the PATH.
#
#   npx -y deno@2.9.6 task compile
#   tasks/package/macos.sh dist/dsign 0.1.0 arm64 dist/packages
#
# For other people's computers Apple wants it signed and notarised: CODESIGN_IDENTITY and INSTALLER_IDENTITY name the
# certificates in the keychain, NOTARY_PROFILE the credentials that `notarytool store-credentials` keeps.
# Silent: sudo installer -pkg dsign-0.1.0-macos-arm64.pkg -target /
set -eu
binary=$1 version=$2 arch=$3 folder=$4

case $version in *[!0-9.]* | '') echo "macos.sh: $version is no version" >&2 && exit 2 ;; esac
case $arch in x64 | arm64) ;; *) echo "macos.sh: $arch is neither x64 nor arm64" >&2 && exit 2 ;; esac

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
app=$stage/root/Applications/D-Sign.app
mkdir -p "$app/Contents/MacOS" "$app/Contents/Resources" "$stage/root/usr/local/bin" "$folder"
cp "$binary" "$app/Contents/MacOS/dsign"
chmod 755 "$app/Contents/MacOS/dsign"
cp "$binary.icns" "$app/Contents/Resources/dsign.icns"
ln -s /Applications/D-Sign.app/Contents/MacOS/dsign "$stage/root/usr/local/bin/dsign"
# LSUIElement: its windows are the browser's, so it has no place in the Dock
cat >"$app/Contents/Info.plist" <<EOF
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>CFBundleIdentifier</key>
  <string>dsign.agent</string>
  <key>CFBundleName</key>
  <string>D-Sign</string>
  <key>CFBundleExecutable</key>
  <string>dsign</string>
  <key>CFBundleIconFile</key>
  <string>dsign</string>
  <key>CFBundlePackageType</key>
  <string>APPL</string>
  <key>CFBundleShortVersionString</key>
  <string>$version</string>
  <key>CFBundleVersion</key>
  <string>$version</string>
  <key>LSMinimumSystemVersion</key>
  <string>12.0</string>
  <key>LSUIElement</key>
  <true/>
</dict>
</plist>
EOF

if [ -n "${CODESIGN_IDENTITY:-}" ]; then
	# V8 makes code at run time, and drivers are other people's libraries
	cat >"$stage/entitlements.plist" <<EOF
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>com.apple.security.cs.allow-jit</key>
  <true/>
  <key>com.apple.security.cs.allow-unsigned-executable-memory</key>
  <true/>
  <key>com.apple.security.cs.disable-library-validation</key>
  <true/>
</dict>
</plist>
EOF
	codesign --force --options runtime --timestamp --entitlements "$stage/entitlements.plist" \
		--sign "$CODESIGN_IDENTITY" "$app"
fi

pkg=$folder/dsign-$version-macos-$arch.pkg
pkgbuild --root "$stage/root" --identifier dsign.agent --version "$version" --install-location / \
	--ownership recommended "$stage/dsign.pkg"
if [ -n "${INSTALLER_IDENTITY:-}" ]; then
	productbuild --package "$stage/dsign.pkg" --sign "$INSTALLER_IDENTITY" "$pkg"
else
	productbuild --package "$stage/dsign.pkg" "$pkg"
fi
if [ -n "${NOTARY_PROFILE:-}" ]; then
	xcrun notarytool submit "$pkg" --keychain-profile "$NOTARY_PROFILE" --wait
	xcrun stapler staple "$pkg"
fi
echo "Made $pkg" >&2
