//! Counts the device code of files many times and prints, per file, the median time of one count and this process's peak memory.
//!
//! Run by `scripts/bench-architectures`.

use std::path::Path;
use std::time::Instant;

use cuda_redist::fatbin;

const RUNS: usize = 101;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for file in std::env::args_os().skip(1) {
        let mut times = Vec::new();
        let mut pieces = 0;
        for _ in 0..RUNS {
            let start = Instant::now();
            let counts = fatbin::count(Path::new(&file)).map_err(|error| error.render())?;
            times.push(start.elapsed());
            pieces = counts.values().map(|count| count.total).sum();
        }
        times.sort();
        let median = times.get(RUNS / 2).copied().unwrap_or_default();
        let status = std::fs::read_to_string("/proc/self/status")?;
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:")?.strip_suffix("kB"))
            .ok_or("no VmHWM in /proc/self/status")?;
        println!(
            "{} us {} pieces {} KiB peak",
            median.as_secs_f64() * 1e6,
            pieces,
            peak.trim()
        );
    }
    Ok(())
}
