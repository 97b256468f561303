//! Files that may be packed with gzip: which they are is in their first two bytes, not in their names.

use std::{
    fs::File,
    io::{BufReader, Error, ErrorKind, Read, Seek as _},
    path::Path,
};

use flate2::{Compression, read::MultiGzDecoder, write::GzEncoder};

/// How a gzip file begins. RFC 1952 <https://www.rfc-editor.org/rfc/rfc1952>.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// `bytes`, packed.
pub fn pack(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    std::io::Write::write_all(&mut packed, bytes)
        .and_then(|()| packed.finish())
        .expect("memory takes whatever is written")
}

/// A file's content, unpacked where it is packed, from its beginning on.
pub struct Content {
    reader: Box<dyn Read>,
    packed: bool,
    at: u64,
}

impl Content {
    /// Opens `file`.
    pub fn open(file: &Path) -> Result<Self, Error> {
        let mut opened = File::open(file)?;
        let mut first = Vec::new();
        opened.by_ref().take(2).read_to_end(&mut first)?;
        opened.rewind()?;
        let (plain, packed) = (BufReader::with_capacity(1 << 16, opened), first == GZIP);
        let reader: Box<dyn Read> = if packed { Box::new(MultiGzDecoder::new(plain)) } else { Box::new(plain) };
        Ok(Self { reader, packed, at: 0 })
    }

    /// Where in the unpacked content the next byte is.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// The next `most` bytes, or fewer where the content ends. What is allocated grows with what is there.
    pub fn up_to(&mut self, most: u64) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        let read = self.reader.by_ref().take(most).read_to_end(&mut bytes);
        self.at += bytes.len() as u64;
        read.map_err(|why| self.damaged(why))?;
        Ok(bytes)
    }

    fn damaged(&self, why: Error) -> Error {
        let at = self.at;
        match why.kind() {
            _ if !self.packed => why,
            ErrorKind::UnexpectedEof => {
                let end = format!("the gzip data end early, {at} bytes into what they hold; fetch the file again");
                Error::new(ErrorKind::UnexpectedEof, end)
            }
            _ => {
                let damage =
                    format!("the gzip data are damaged {at} bytes into what they hold ({why}); fetch it again");
                Error::new(ErrorKind::InvalidData, damage)
            }
        }
    }
}

/// Reads a whole file of at most `limit` bytes when unpacked.
pub fn read_bounded(file: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    let bytes = Content::open(file)?.up_to(limit + 1)?;
    let too_large = || Error::new(ErrorKind::FileTooLarge, format!("it has more than {limit} bytes when unpacked"));
    if bytes.len() as u64 > limit { Err(too_large()) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {

    use super::*;

    fn read(bytes: &[u8], limit: u64) -> Result<Vec<u8>, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, bytes).unwrap();
        read_bounded(&file, limit).map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_is_unpacked_by_its_content_whatever_it_is_called() {
        let plain = [7; 5000];
        for packed in [plain.to_vec(), pack(&plain), [pack(&plain[..2000]), pack(&plain[2000..])].concat()] {
            assert_eq!(read(&packed, 5000).unwrap(), plain);
            assert_eq!(read(&packed, 4999).unwrap_err(), "it has more than 4999 bytes when unpacked");
        }
        assert!(read(&[], 0).unwrap().is_empty());
        assert_eq!(read(&[0x1f], 10).unwrap(), [0x1f]);
    }

    #[test]
    fn packed_data_that_end_early_or_are_damaged_say_where() {
        let content: Vec<u8> = (0..9000u32).map(|i| ((i * i) >> 5) as u8).collect();
        let packed = pack(&content);
        for end in [3, packed.len() / 2, packed.len() - 3] {
            let error = read(&packed[..end], 1 << 20).unwrap_err();
            assert!(error.starts_with("the gzip data end early, "), "{error}");
        }
        let mut damaged = packed.clone();
        *damaged.last_mut().unwrap() ^= 1;
        let error = read(&damaged, 1 << 20).unwrap_err();
        assert!(error.starts_with("the gzip data are damaged 9000 bytes into what they hold"), "{error}");
        let error = read(&[packed, b"more".to_vec()].concat(), 1 << 20).unwrap_err();
        assert!(error.starts_with("the gzip data "), "{error}");
    }
}
