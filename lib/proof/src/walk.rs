//! Walking a format that is headers with bytes between them, fed in pieces of any size.

/// What follows a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    /// Bytes that say nothing about the form.
    pub(crate) skip: u64,
    /// The length of the next header, at least 1.
    pub(crate) then: usize,
}

/// A format as a sequence of headers.
pub(crate) trait Headers {
    /// The length of the first header.
    const FIRST: usize;

    /// Takes the next header.
    ///
    /// # Errors
    /// Why this cannot stand here.
    fn header(&mut self, header: &[u8]) -> Result<Step, String>;

    /// Whether the stream is whole if it ends where the next header would begin.
    fn may_end(&self) -> bool;
}

/// Cuts what comes into headers and what is between them. Holds one header at most.
#[derive(Debug)]
pub(crate) struct Walk<H> {
    headers: H,
    skip: u64,
    wanted: usize,
    gathered: Vec<u8>,
    bytes: u64,
    refused: Option<String>,
}

impl<H: Headers> Walk<H> {
    pub(crate) fn new(headers: H) -> Self {
        Self { headers, skip: 0, wanted: H::FIRST, gathered: Vec::new(), bytes: 0, refused: None }
    }

    pub(crate) fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.refused.is_none() {
            let passed = usize::try_from(self.skip).map_or(bytes.len(), |skip| skip.min(bytes.len()));
            self.skip -= passed as u64;
            bytes = &bytes[passed..];
            let taken = if self.skip > 0 { 0 } else { bytes.len().min(self.wanted - self.gathered.len()) };
            self.gathered.extend_from_slice(&bytes[..taken]);
            bytes = &bytes[taken..];
            self.bytes += (passed + taken) as u64;
            if self.gathered.len() == self.wanted {
                self.step();
            }
        }
    }

    fn step(&mut self) {
        match self.headers.header(&self.gathered) {
            Ok(step) => (self.skip, self.wanted) = (step.skip, step.then.max(1)),
            Err(why) => self.refused = Some(format!("{why} (before byte {})", self.bytes)),
        }
        self.gathered.clear();
    }

    /// The headers, or why the stream is not whole.
    pub(crate) fn finish(self) -> Result<H, String> {
        match self.refused {
            Some(why) => Err(why),
            None if self.skip == 0 && self.gathered.is_empty() && self.headers.may_end() => Ok(self.headers),
            None => Err(format!("it is cut off after {} bytes", self.bytes)),
        }
    }
}
