//! A state's print: 128 bits that stand for it, so that the states themselves needn't be kept. That two of a million states had the same
//! one by chance is less likely than that the machine errs. (The standard library's hasher, at a test's level of optimisation, takes most
//! of the time of a search.)

use std::hash::{Hash, Hasher};

/// Two mixtures of everything that is written, with multipliers of their own.
#[derive(Debug, Clone)]
pub(crate) struct Print(u64, u64);

impl Default for Print {
    fn default() -> Self {
        Self(0x243F_6A88_85A3_08D3, 0x1319_8A2E_0370_7344)
    }
}

fn mix(sum: u64, word: u64, multiplier: u64) -> u64 {
    let mixed = (sum ^ word).wrapping_mul(multiplier);
    mixed ^ (mixed >> 29)
}

impl Print {
    pub(crate) fn of(what: &impl Hash) -> u128 {
        let mut print = Self::default();
        what.hash(&mut print);
        // Twice more, so that the last words reach every bit.
        print.write_u64(1);
        print.write_u64(2);
        u128::from(print.0) << 64 | u128::from(print.1)
    }
}

impl Hasher for Print {
    fn finish(&self) -> u64 {
        mix(self.0, self.1, 0x9E37_79B9_7F4A_7C15)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u8(&mut self, byte: u8) {
        self.write_u64(u64::from(byte));
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = mix(self.0, word, 0x9E37_79B9_7F4A_7C15);
        self.1 = mix(self.1, word, 0xC2B2_AE3D_27D4_EB4F);
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }

    fn write_isize(&mut self, word: isize) {
        self.write_u64(word.unsigned_abs() as u64);
    }
}
