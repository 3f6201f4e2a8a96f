//! Which messages are written: those of a level and above, and of single modules others.

use nom::branch::alt;
use nom::bytes::complete::{tag, take_while1};
use nom::character::complete::char;
use nom::combinator::{all_consuming, opt, value};
use nom::multi::separated_list1;
use nom::sequence::terminated;
use nom::{IResult, Parser};
use tracing_subscriber::filter::{LevelFilter, Targets};

/// Bytes of a filter's text, at most.
const BYTES_MAX: usize = 256;

/// Levels in one filter, at most.
const LEVELS_MAX: usize = 16;

/// What there is to write for a filter.
pub const ALLOWED: &str = "error, warn, info, debug, trace or off, and others for modules, as in \
                           info,ttguard::backend=debug; at most 16, in at most 256 bytes";

/// Reads `LEVEL`, `MODULE=LEVEL`, or several of these with commas between. One without a module is for all others, which
/// are at `error` where there is none.
pub fn parse(text: &str) -> Option<Targets> {
    if text.len() > BYTES_MAX {
        return None;
    }
    let (_, levels) = all_consuming(separated_list1(char(','), one)).parse(text).ok()?;
    let for_all: Vec<_> = levels.iter().filter(|(module, _)| module.is_none()).collect();
    if levels.len() > LEVELS_MAX || for_all.len() > 1 {
        return None;
    }
    let for_all = for_all.first().map_or(LevelFilter::ERROR, |(_, level)| *level);
    let modules = levels.iter().filter_map(|(module, level)| Some(((*module)?, *level)));
    Some(Targets::new().with_default(for_all).with_targets(modules))
}

fn one(text: &str) -> IResult<&str, (Option<&str>, LevelFilter)> {
    (opt(terminated(module, char('='))), level).parse(text)
}

fn module(text: &str) -> IResult<&str, &str> {
    take_while1(|c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':')).parse(text)
}

fn level(text: &str) -> IResult<&str, LevelFilter> {
    alt((
        value(LevelFilter::ERROR, tag("error")),
        value(LevelFilter::WARN, tag("warn")),
        value(LevelFilter::INFO, tag("info")),
        value(LevelFilter::DEBUG, tag("debug")),
        value(LevelFilter::TRACE, tag("trace")),
        value(LevelFilter::OFF, tag("off")),
    ))
    .parse(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_levels_of_modules_are_read() {
        for text in [
            "info",
            "off",
            "warn,ttguard::logging=debug",
            "a=trace",
            "a=off,b_2::c=error,debug",
        ] {
            assert!(parse(text).is_some(), "{text}");
        }
        let one = parse("warn,ttguard::logging=debug").expect("a filter");
        assert!(one.would_enable("ttguard::logging::x", &tracing::Level::DEBUG));
        assert!(!one.would_enable("ttguard::logging", &tracing::Level::TRACE));
        assert!(!one.would_enable("ttguard", &tracing::Level::INFO));
        assert!(
            parse("a=trace")
                .expect("a filter")
                .would_enable("b", &tracing::Level::ERROR)
        );
    }

    #[test]
    fn anything_else_is_refused() {
        let many = vec!["a=info"; LEVELS_MAX + 1].join(",");
        let long = format!("{}=info", "a".repeat(BYTES_MAX));
        // Filters of other programs: with spans, their fields, and a regular expression for what these hold.
        let expression = format!("[{{k=({}a{{1000}}){{1000}}}}]=info", "(".repeat(40));
        for text in [
            "",
            "loud",
            "INFO",
            "info=loud",
            "warn,debgu",
            "info,warn",
            "info,",
            ",info",
            "a=",
            "=info",
            "info ",
            "a-b=info",
            "[span]=info",
            "a[span]=info",
            "[{field}]=info",
            "[{field=x.*}]=info",
            "a*=info",
            "infos",
            "a%3Dinfo",
            &many,
            &long,
            &expression,
        ] {
            assert!(parse(text).is_none(), "{text}");
        }
        assert!(parse(&vec!["a=info"; LEVELS_MAX].join(",")).is_some());
    }
}
