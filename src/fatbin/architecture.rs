//! What device code is for, and which devices it serves.

use std::fmt;
use std::str::FromStr;

use crate::error::{Kind, Problem};
use crate::text;

/// In what form device code is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// Machine code for one architecture (a cubin), written `sm_90`.
    Machine,
    /// PTX, compiled by the driver for its device or a later one, written `compute_90`.
    Ptx,
}

/// Which devices of a number code is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Variant {
    /// The device and its successors of the same major version: no suffix.
    Base,
    /// Architecture specific, suffix `a`: this device only.
    Specific,
    /// Family specific, suffix `f`: the device's family.
    Family,
}

/// What device code is for; sorts by form, number, variant. `Display` gives `sm_90a`, `compute_100`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Architecture {
    /// Machine code or PTX.
    pub code: Code,
    /// Compute capability without the dot: 90 is 9.0, 121 is 12.1.
    pub number: u32,
    /// Suffix.
    pub variant: Variant,
}

impl Architecture {
    /// Does code for this architecture run on devices of `capability`?
    ///
    /// Machine code without suffix: on its own device and later ones of the same major version, but neither from nor to
    /// Tegra devices. PTX without suffix: on its own device and all later ones. With `a`: on exactly its own. With `f`:
    /// on its own and later ones of its family.
    ///
    /// Source: CUDA C++ Programming Guide, "Binary Compatibility" (for desktop devices only: not for Tegra, nor between
    /// the two), "PTX Compatibility", "Family-Specific Features".
    pub fn serves(self, capability: Capability) -> bool {
        let own = Capability::from_number(self.number);
        match (self.variant, self.code) {
            (Variant::Specific, _) => capability == own,
            (Variant::Family, _) => own.family() == capability.family() && capability >= own,
            (Variant::Base, Code::Machine) => {
                let is_moved = capability != own;
                own.major == capability.major
                    && capability >= own
                    && !(is_moved && (own.is_tegra() || capability.is_tegra()))
            }
            (Variant::Base, Code::Ptx) => capability >= own,
        }
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = match self.code {
            Code::Machine => "sm",
            Code::Ptx => "compute",
        };
        let suffix = match self.variant {
            Variant::Base => "",
            Variant::Specific => "a",
            Variant::Family => "f",
        };
        write!(f, "{prefix}_{}{suffix}", self.number)
    }
}

/// A device's compute capability, written `9.0`; sorts from old to new.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Capability {
    major: u32,
    minor: u32,
}

impl Capability {
    /// The capability that NVIDIA's tools write as `number` behind `sm_`: the last digit is the minor version.
    pub fn from_number(number: u32) -> Capability {
        Capability {
            major: number / 10,
            minor: number % 10,
        }
    }

    /// Is this a device of a Tegra, as Jetson and Drive have them?
    ///
    /// Source: NVIDIA's table of CUDA GPUs, where each of these numbers is a Jetson's alone: TX1 and Nano, TX2, Xavier,
    /// Orin, T239, Thor (10.1 until CUDA 12.9, 11.0 since).
    pub fn is_tegra(self) -> bool {
        const TEGRA: [(u32, u32); 7] = [(5, 3), (6, 2), (7, 2), (8, 7), (8, 8), (10, 1), (11, 0)];
        TEGRA.contains(&(self.major, self.minor))
    }

    /// Devices that share family-specific features: those of one major version. 10.1 is in the family of 11.0, which is
    /// its name since CUDA 13.0.
    fn family(self) -> u32 {
        match (self.major, self.minor) {
            (10, 1) => 11,
            (major, _) => major,
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// A text is no compute capability.
#[derive(Debug, thiserror::Error)]
#[error("expected a compute capability such as `9.0`, found {found}")]
pub struct CapabilityError {
    /// The text, quoted.
    found: String,
}

impl Problem for CapabilityError {
    fn kind(&self) -> Kind {
        Kind::Usage
    }
}

impl FromStr for Capability {
    type Err = CapabilityError;

    /// Reads `9.0`, `12.1`: two numbers without superfluous zeros, the minor one of one digit.
    fn from_str(text: &str) -> Result<Capability, CapabilityError> {
        let number = |digits: &str| {
            let is_plain = !digits.is_empty()
                && digits.bytes().all(|byte| byte.is_ascii_digit())
                && (digits == "0" || !digits.starts_with('0'));
            is_plain.then(|| digits.parse::<u32>().ok()).flatten()
        };
        let parts = text.split_once('.');
        let read = parts.and_then(|(major, minor)| Some((number(major)?, number(minor)?)));
        match read {
            Some((major @ 1..=9999, minor @ 0..=9)) => Ok(Capability { major, minor }),
            _ => Err(CapabilityError {
                found: text::quote(text),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn architecture(text: &str) -> Architecture {
        let (code, digits) = match text.split_once('_').unwrap() {
            ("sm", digits) => (Code::Machine, digits),
            ("compute", digits) => (Code::Ptx, digits),
            _ => panic!("{text}"),
        };
        let variant = match digits.chars().last() {
            Some('a') => Variant::Specific,
            Some('f') => Variant::Family,
            _ => Variant::Base,
        };
        let number = digits.trim_end_matches(['a', 'f']).parse().unwrap();
        Architecture {
            code,
            number,
            variant,
        }
    }

    #[test]
    fn code_serves_the_devices_it_was_made_for() {
        let all = [
            "5.0", "7.0", "7.2", "7.5", "8.0", "8.6", "8.7", "8.9", "9.0", "10.0", "10.1", "10.3",
            "11.0", "12.0", "12.1",
        ];
        for (name, served) in [
            ("sm_50", "5.0"),
            ("sm_70", "7.0 7.5"),
            ("sm_75", "7.5"),
            ("sm_80", "8.0 8.6 8.9"),
            ("sm_86", "8.6 8.9"),
            ("sm_72", "7.2"),
            ("sm_87", "8.7"),
            ("sm_101", "10.1"),
            ("sm_110", "11.0"),
            (
                "compute_86",
                "8.6 8.7 8.9 9.0 10.0 10.1 10.3 11.0 12.0 12.1",
            ),
            ("compute_87", "8.7 8.9 9.0 10.0 10.1 10.3 11.0 12.0 12.1"),
            ("sm_90", "9.0"),
            ("sm_90a", "9.0"),
            ("sm_100", "10.0 10.3"),
            ("sm_100a", "10.0"),
            ("sm_100f", "10.0 10.3"),
            ("sm_103f", "10.3"),
            ("sm_101f", "10.1 11.0"),
            ("sm_110f", "11.0"),
            ("sm_120", "12.0 12.1"),
            ("sm_120a", "12.0"),
            ("sm_120f", "12.0 12.1"),
            ("sm_121f", "12.1"),
            ("compute_90", "9.0 10.0 10.1 10.3 11.0 12.0 12.1"),
            ("compute_90a", "9.0"),
            ("compute_100f", "10.0 10.3"),
            ("compute_121", "12.1"),
            ("compute_130", ""),
        ] {
            let found: Vec<&str> = all
                .into_iter()
                .filter(|text| architecture(name).serves(text.parse().unwrap()))
                .collect();
            assert_eq!(found.join(" "), served, "{name}");
            assert_eq!(architecture(name).to_string(), name);
        }
    }

    #[test]
    fn capabilities_are_two_numbers() {
        for text in ["9.0", "12.1", "3.5", "10.3"] {
            assert_eq!(text.parse::<Capability>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "9",
            "90",
            "sm_90",
            "9.",
            ".0",
            "09.0",
            "9.00",
            "9.10",
            "0.0",
            "9.0a",
            "-9.0",
            "+9.0",
            "9.0 ",
            "99999.0",
            "4294967297.0",
        ] {
            let error = text.parse::<Capability>().unwrap_err();
            assert!(
                error.to_string().contains("such as `9.0`"),
                "{text}: {error}"
            );
        }
    }
}
