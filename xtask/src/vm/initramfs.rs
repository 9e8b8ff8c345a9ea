//! Writes the VM's file tree as a cpio archive (format newc), which needs neither root nor a loop device.
//!
//! Format: Documentation/driver-api/early-userspace/buffer-format.rst of the kernel.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context as _, Result};

const DIRECTORY: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const FIELD_COUNT: usize = 13;

/// An archive under way. Parent directories appear by themselves; the first entry of a path counts.
pub(crate) struct Initramfs<W: Write> {
    out: W,
    written: u64,
    inode: u32,
    names: BTreeSet<String>,
}

impl<W: Write> Initramfs<W> {
    /// An empty archive that goes to `out`.
    pub(crate) fn new(out: W) -> Self {
        Self {
            out,
            written: 0,
            inode: 0,
            names: BTreeSet::new(),
        }
    }

    /// Adds the file `source` of this machine as `name` (absolute, in the VM).
    pub(crate) fn copy(&mut self, name: &str, source: &Path) -> Result<()> {
        let content = fs::read(source).with_context(|| format!("cannot read {}", source.display()))?;
        self.file(name, &content)
            .with_context(|| format!("cannot add {name} to the initramfs"))
    }

    /// Adds an executable file.
    pub(crate) fn file(&mut self, name: &str, content: &[u8]) -> io::Result<()> {
        let name = name.trim_start_matches('/');
        for (end, _) in name.match_indices('/') {
            self.entry(&name[..end], DIRECTORY, &[])?;
        }
        self.entry(name, PROGRAM, content)
    }

    /// Ends the archive.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.entry("TRAILER!!!", 0, &[])?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn entry(&mut self, name: &str, mode: u32, content: &[u8]) -> io::Result<()> {
        if !self.names.insert(name.to_owned()) {
            return Ok(());
        }
        self.inode += 1;
        let size = u32::try_from(content.len()).map_err(|_| io::Error::other("file of more than 4 GiB"))?;
        let name_size = u32::try_from(name.len() + 1).map_err(|_| io::Error::other("name too long"))?;
        // ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor, rdevmajor, rdevminor, namesize, check
        let fields: [u32; FIELD_COUNT] = [self.inode, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0];
        self.put(b"070701")?;
        for field in fields {
            self.put(format!("{field:08x}").as_bytes())?;
        }
        self.put(name.as_bytes())?;
        self.put(b"\0")?;
        self.pad()?;
        self.put(content)?;
        self.pad()
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.written += bytes.len() as u64;
        self.out.write_all(bytes)
    }

    fn pad(&mut self) -> io::Result<()> {
        let missing = self.written.next_multiple_of(4) - self.written;
        self.put(&b"\0\0\0"[..usize::try_from(missing).unwrap_or(0)])
    }
}

#[cfg(test)]
mod tests {
    use super::Initramfs;

    /// Walks the archive as the kernel does: header, padded name, padded content.
    fn entries(archive: &[u8]) -> Vec<(String, u32, Vec<u8>)> {
        let mut found = Vec::new();
        let mut at = 0;
        loop {
            assert_eq!(&archive[at..at + 6], b"070701", "no header at {at}");
            let field = |n: usize| {
                let digits = &archive[at + 6 + 8 * n..at + 14 + 8 * n];
                u32::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap()
            };
            let (mode, size, name_size) = (field(1), field(6) as usize, field(11) as usize);
            let name_at = at + 110;
            let name = String::from_utf8(archive[name_at..name_at + name_size - 1].to_vec()).unwrap();
            let content_at = (name_at + name_size).next_multiple_of(4);
            at = (content_at + size).next_multiple_of(4);
            if name == "TRAILER!!!" {
                assert_eq!(at, archive.len());
                return found;
            }
            found.push((name, mode, archive[content_at..content_at + size].to_vec()));
        }
    }

    #[test]
    fn archive_reads_back() {
        let mut archive = Initramfs::new(Vec::new());
        archive.file("/init", b"12345").unwrap();
        archive.file("/lib/x/a.so", b"").unwrap();
        archive.file("/lib/x/b.so", b"1234").unwrap();
        archive.file("/init", b"second").unwrap();
        let entries = entries(&archive.finish().unwrap());
        let shape: Vec<_> = entries
            .iter()
            .map(|(name, mode, _)| (name.as_str(), *mode))
            .collect();
        let (dir, program) = (0o040_755, 0o100_755);
        let expected = [
            ("init", program),
            ("lib", dir),
            ("lib/x", dir),
            ("lib/x/a.so", program),
            ("lib/x/b.so", program),
        ];
        assert_eq!(shape, expected);
        assert_eq!(entries[0].2, b"12345");
        assert_eq!(entries[4].2, b"1234");
    }
}
