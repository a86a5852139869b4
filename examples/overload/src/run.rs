//! One run: a server, the load on it, and what was measured.

use std::time::Duration;

use anyhow::{Result, bail};
use example_support::{K6, samples};
use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};

use crate::{
    child,
    load::Load,
    route::{Route, Sample},
    server::{Limit, Limits},
    usage::Usage,
};

/// A differently configured server, or a different load, that is compared with the others.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// In `summary.json` and in the names of the charts.
    pub(crate) name: &'static str,
    /// Above the chart.
    pub(crate) title: &'static str,
    pub(crate) limit: Limit,
    pub(crate) limits: Limits,
    pub(crate) load: Load,
}

#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) samples: Vec<Sample>,
    pub(crate) usage: Usage,
    /// The thresholds of the k6 script.
    pub(crate) thresholds_passed: bool,
}

const SCRIPT: &str = include_str!("overload.js");

/// For k6 to start, and to come to an end after the last request has timed out.
const GRACE: Duration = Duration::from_secs(30);

impl Run {
    /// Dropping this future stops both processes.
    pub(crate) async fn measure(
        &self,
        k6: &K6,
        port: u16,
        rows: u32,
        label: &str,
    ) -> Result<Measured> {
        let mut server = child::start(self, port, rows).await?;
        let url = ("URL", server.url().to_owned());
        let process = server.id().unwrap_or_default();
        let bar = self.progress(label);
        let mut usage = Usage::default();
        let patience = Duration::from_secs(self.load.seconds().into())
            + Duration::from_secs_f64(self.load.client_timeout)
            + GRACE;
        let environment = self.load.env().into_iter().chain([url]);
        let load = k6.run(SCRIPT, environment, {
            let bar = bar.clone();
            move |csv| samples::read(csv, Route::of, |sample| bar.set_position(sample.at as u64))
        });
        let (samples, thresholds_passed) = tokio::select! {
            load = load => load?,
            status = server.ended() => bail!("the server ended in the middle of the run: {}", status?),
            () = tokio::time::sleep(patience) => bail!("k6 did not come to an end"),
            never = usage.watch(process) => match never {},
        };
        server.stop().await?;
        Ok(Measured {
            samples,
            usage,
            thresholds_passed,
        })
    }

    fn progress(&self, label: &str) -> ProgressBar {
        let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} s")
            .expect("the template is well formed");
        let bar = ProgressBar::new(self.load.seconds().into())
            .with_style(style)
            .with_finish(ProgressFinish::AndClear)
            .with_message(label.to_owned());
        if bar.is_hidden() {
            eprintln!("{label}: {} s", self.load.seconds());
        }
        bar.tick();
        bar
    }
}
