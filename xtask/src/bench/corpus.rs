//! The files that the servers are asked for: made here, byte for byte the same on every machine.

use std::io::Write;
use std::path::Path;

use zip::write::SimpleFileOptions;

use crate::Outcome;

/// What is asked for: a name for the tables, the path below a GOPROXY, and the size that it aims at.
pub(super) struct Sample {
    pub(super) name: &'static str,
    pub(super) path: String,
    pub(super) bytes: u64,
}

/// Module name, and bytes of its one incompressible file.
const ZIPS: &[(&str, usize)] = &[
    ("100 kB zip", 100_000),
    ("1 MB zip", 1_000_000),
    ("7 MB zip", 7_000_000),
    ("40 MB zip", 40_000_000),
];

/// Writes a static GOPROXY with one module of each size into `folder` and returns the samples: the
/// `.info` and `.mod` of the first module, and each zip.
pub(super) fn write(folder: &Path) -> Outcome<Vec<Sample>> {
    let mut samples = Vec::new();
    for (index, (name, bytes)) in ZIPS.iter().enumerate() {
        let module = format!("bench.example/sized{index}");
        let base = format!("{module}/@v");
        fs_err::create_dir_all(folder.join(&base))?;
        let files = [
            (
                ".info",
                br#"{"Version":"v1.0.0","Time":"2024-01-02T03:04:05Z"}"#.to_vec(),
            ),
            // As long as a usual go.mod.
            (".mod", go_mod(&module).into_bytes()),
            (".zip", module_zip(&module, *bytes)?),
        ];
        fs_err::write(folder.join(&base).join("list"), "v1.0.0\n")?;
        for (extension, content) in files {
            let path = format!("{base}/v1.0.0{extension}");
            fs_err::write(folder.join(&path), &content)?;
            let name = match extension {
                ".zip" => *name,
                _ if index > 0 => continue,
                extension => extension,
            };
            samples.push(Sample {
                name,
                path: format!("/{path}"),
                bytes: u64::try_from(content.len())?,
            });
        }
    }
    Ok(samples)
}

fn go_mod(module: &str) -> String {
    let mut text = format!("module {module}\n\ngo 1.21\n\nrequire (\n");
    for index in 0..12 {
        text.push_str(&format!(
            "\tbench.example/required{index:02} v1.{index}.0\n"
        ));
    }
    text.push_str(")\n");
    text
}

fn module_zip(module: &str, bytes: usize) -> Outcome<Vec<u8>> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    zip.start_file(format!("{module}@v1.0.0/go.mod"), options)?;
    zip.write_all(go_mod(module).as_bytes())?;
    zip.start_file(format!("{module}@v1.0.0/data.bin"), options)?;
    zip.write_all(&noise(bytes))?;
    Ok(zip.finish()?.into_inner())
}

/// Bytes without a pattern, the same every time (a 64-bit xorshift).
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut noise = Vec::with_capacity(bytes + 8);
    while noise.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        noise.extend_from_slice(&state.to_le_bytes());
    }
    noise.truncate(bytes);
    noise
}
