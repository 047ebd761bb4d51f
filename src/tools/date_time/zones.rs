//! Which time zone somebody means by a place: a zone of the database by its name, or by the city in it; a few
//! large cities, countries and abbreviations that the database has under another name.

use jiff::tz::{TimeZone, db};

/// What people say, and the zone.
const OTHER: &[(&str, &str)] = &[
    ("san francisco", "America/Los_Angeles"),
    ("seattle", "America/Los_Angeles"),
    ("las vegas", "America/Los_Angeles"),
    ("san diego", "America/Los_Angeles"),
    ("portland", "America/Los_Angeles"),
    ("california", "America/Los_Angeles"),
    ("pacific", "America/Los_Angeles"),
    ("mountain", "America/Denver"),
    ("central", "America/Chicago"),
    ("eastern", "America/New_York"),
    ("boston", "America/New_York"),
    ("washington", "America/New_York"),
    ("miami", "America/New_York"),
    ("atlanta", "America/New_York"),
    ("philadelphia", "America/New_York"),
    ("dallas", "America/Chicago"),
    ("houston", "America/Chicago"),
    ("austin", "America/Chicago"),
    ("texas", "America/Chicago"),
    ("montreal", "America/Toronto"),
    ("ottawa", "America/Toronto"),
    ("rio de janeiro", "America/Sao_Paulo"),
    ("delhi", "Asia/Kolkata"),
    ("new delhi", "Asia/Kolkata"),
    ("mumbai", "Asia/Kolkata"),
    ("bangalore", "Asia/Kolkata"),
    ("india", "Asia/Kolkata"),
    ("beijing", "Asia/Shanghai"),
    ("china", "Asia/Shanghai"),
    ("osaka", "Asia/Tokyo"),
    ("kyoto", "Asia/Tokyo"),
    ("hanoi", "Asia/Bangkok"),
    ("abu dhabi", "Asia/Dubai"),
    ("munich", "Europe/Berlin"),
    ("hamburg", "Europe/Berlin"),
    ("frankfurt", "Europe/Berlin"),
    ("cologne", "Europe/Berlin"),
    ("germany", "Europe/Berlin"),
    ("france", "Europe/Paris"),
    ("italy", "Europe/Rome"),
    ("milan", "Europe/Rome"),
    ("spain", "Europe/Madrid"),
    ("barcelona", "Europe/Madrid"),
    ("geneva", "Europe/Zurich"),
    ("england", "Europe/London"),
    ("uk", "Europe/London"),
    ("edinburgh", "Europe/London"),
    ("manchester", "Europe/London"),
    ("scotland", "Europe/London"),
    ("kiev", "Europe/Kyiv"),
    ("saint petersburg", "Europe/Moscow"),
    ("cape town", "Africa/Johannesburg"),
    ("canberra", "Australia/Sydney"),
    ("wellington", "Pacific/Auckland"),
    ("hawaii", "Pacific/Honolulu"),
    ("est", "America/New_York"),
    ("edt", "America/New_York"),
    ("cst", "America/Chicago"),
    ("mst", "America/Denver"),
    ("pst", "America/Los_Angeles"),
    ("pdt", "America/Los_Angeles"),
    ("bst", "Europe/London"),
    ("cet", "Europe/Berlin"),
    ("cest", "Europe/Berlin"),
    ("ist", "Asia/Kolkata"),
    ("jst", "Asia/Tokyo"),
];

/// A zone, and what its place is called.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) zone: TimeZone,
    pub(super) name: String,
}

/// Longest name of a place, bytes.
const LONGEST: usize = 60;

/// The zone of `place`; none where nobody knows it.
pub(super) fn find(place: &str) -> Option<Found> {
    let place = place.trim();
    if place.len() > LONGEST {
        return None;
    }
    let low = place.to_lowercase().replace(['_', '.'], " ");
    let low = low.split_whitespace().collect::<Vec<_>>().join(" ");
    // "Paris, France", "Tokyo time"
    let low = low.split(',').next().unwrap_or_default().trim();
    let low = low.strip_suffix(" time").unwrap_or(low);
    if low == "utc" || low == "gmt" {
        return Some(Found {
            zone: TimeZone::UTC,
            name: low.to_uppercase(),
        });
    }
    let known = OTHER.iter().find(|(said, _)| *said == low);
    if let Some((said, zone)) = known {
        let name = match said.len() {
            ..=4 => said.to_uppercase(),
            _ => capitals(said),
        };
        return Some(Found {
            zone: TimeZone::get(zone).ok()?,
            name,
        });
    }
    // Only what the database lists: a name is not to become a path.
    let all: Vec<String> = db().available().map(|name| name.to_string()).collect();
    let wanted = low.replace(' ', "_");
    let is = |name: &&String| name.contains('/') && name.to_lowercase() == wanted;
    let has = |name: &&String| {
        let city = name.rsplit_once('/').map(|(_, city)| city.to_lowercase());
        let region = name.split('/').next().unwrap_or_default();
        city.as_deref() == Some(&wanted) && !["Etc", "posix", "right"].contains(&region)
    };
    let name = all.iter().find(is).or_else(|| all.iter().find(has))?;
    let city = name.rsplit('/').next().unwrap_or(name);
    Some(Found {
        zone: TimeZone::get(name).ok()?,
        name: city.replace('_', " "),
    })
}

fn capitals(text: &str) -> String {
    let words = text.split(' ').map(|word| match word {
        "de" => word.to_owned(),
        word => super::words::sentence(word),
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_in_the_list_has_a_zone() {
        for (said, zone) in OTHER {
            let found = find(said).unwrap_or_else(|| panic!("{said}: {zone}"));
            assert_eq!(found.zone.iana_name(), Some(*zone));
        }
    }

    #[test]
    fn places_are_called_as_people_do() {
        for (said, name) in [
            ("san francisco", "San Francisco"),
            ("Rio de Janeiro", "Rio de Janeiro"),
            ("pst", "PST"),
            ("uk", "UK"),
            ("Paris, France", "Paris"),
            ("tokyo time", "Tokyo"),
            ("america/new_york", "New York"),
            ("St. Johns", "St Johns"),
        ] {
            assert_eq!(
                find(said).map(|found| found.name).as_deref(),
                Some(name),
                "{said}"
            );
        }
    }
}
