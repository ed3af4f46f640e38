//! Windows: checked, and how long they are kept.

use super::Planner;
use crate::state::StoreKind;
use crate::time::format_duration;
use crate::topology::spec::scalars::Millis;
use crate::topology::spec::{TableSpec, WindowKind, WindowSpec};
use crate::window::{SessionWindows, SlidingWindows, TimeWindows, UnlimitedWindow, WindowError, Windows};
use crate::yaml::Diagnostic;
use crate::yaml::Span;

impl Planner<'_> {
    /// Windows. Each part that makes no sense has its own report, and another stands in for it.
    pub(super) fn windows(&mut self, spec: &WindowSpec) -> Option<Windows> {
        let grace = self.grace(spec.grace.as_ref());
        let windows = match &spec.kind {
            WindowKind::Tumbling(size) => self.time_windows(size, None, grace)?,
            WindowKind::Hopping(hopping) => self.time_windows(&hopping.size, Some(&hopping.advance), grace)?,
            WindowKind::Sliding(difference) => {
                let windows = self.sound(SlidingWindows::new(difference.value, grace), &difference.span);
                Windows::Sliding(windows?)
            }
            WindowKind::Session(gap) => {
                let windows = self.sound(SessionWindows::new(gap.value, grace), &gap.span);
                Windows::Session(windows?)
            }
            WindowKind::Unlimited(unlimited) => {
                let start = unlimited.start.as_ref();
                let place = start.map_or(&spec.span, |start| &start.span);
                let window = self.sound(UnlimitedWindow::new(start.map_or(0, |start| start.value)), place);
                Windows::Unlimited(window?)
            }
        };
        Some(windows)
    }

    fn grace(&mut self, own: Option<&Millis>) -> i64 {
        let Some(own) = own else { return 0 };
        self.sound(TimeWindows::tumbling(1, own.value), &own.span).map_or(0, |_| own.value)
    }

    fn time_windows(&mut self, size: &Millis, advance: Option<&Millis>, grace: i64) -> Option<Windows> {
        let own = self.sound(TimeWindows::tumbling(size.value, grace), &size.span)?;
        match advance {
            None => Some(Windows::Time(own)),
            Some(advance) => {
                let windows = TimeWindows::hopping(size.value, advance.value, grace);
                // With a mistake in the advance, the size and the grace are still good for checking the rest.
                Some(Windows::Time(self.sound(windows, &advance.span).unwrap_or(own)))
            }
        }
    }

    fn sound<T>(&mut self, windows: Result<T, WindowError>, place: &Span) -> Option<T> {
        windows.map_err(|error| self.problems.report(Diagnostic::new(place.clone(), error.to_string()))).ok()
    }

    /// The kind of store that holds windows, with how long these are kept.
    pub(super) fn store_of_windows(&mut self, table: &TableSpec, windows: &Windows) -> StoreKind {
        let given = table.store.as_ref().and_then(|store| store.retention.as_ref());
        let Some(least) = windows.least_retention() else {
            if let Some(given) = given {
                let problem = Diagnostic::new(given.span.clone(), "an unlimited window is kept for ever");
                self.problems.report(problem.help("leave the `retention` out"));
            }
            return StoreKind::Window { retention: i64::MAX };
        };
        if let Some(given) = given.filter(|given| given.value < least) {
            let least = format_duration(least);
            let what = match windows {
                Windows::Sliding(_) => "windows must be kept for at least twice their time difference and the grace",
                Windows::Session(_) => "sessions must be kept for at least their gap and grace",
                Windows::Time(_) | Windows::Unlimited(_) => "windows must be kept for at least their size and grace",
            };
            let problem = Diagnostic::new(given.span.clone(), format!("{what}, together {least}"));
            self.problems.report(problem.help(format!("write {least} or more")));
        }
        let retention = given.map_or(least, |given| given.value);
        match windows {
            Windows::Session(_) => StoreKind::Session { retention },
            _ => StoreKind::Window { retention },
        }
    }
}
