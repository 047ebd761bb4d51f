//! Units and money: what the letters after a number stand for, singular and plural.

/// How a unit is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unit {
    pub(crate) one: &'static str,
    pub(crate) many: &'static str,
}

impl Unit {
    pub(crate) fn of(self, single: bool) -> &'static str {
        if single { self.one } else { self.many }
    }
}

/// When letters may be taken for a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// After a number, with or without a space.
    Always,
    /// Only touching the number, or alone before punctuation or the end: they are also words
    /// ("5 in the box", "3 a day").
    Touching,
    /// Only after a space: touching the number they are part of a name ("5G", "4K", "B2B").
    Apart,
}

const fn unit(one: &'static str, many: &'static str) -> Unit {
    Unit { one, many }
}

/// The unit that `letters` (case matters: "mb" is forgiven, "MW" is not "mW") stand for.
/// `^2` and `^3` are what the cleaner made of ² and ³.
#[rustfmt::skip]
pub(crate) fn lookup(letters: &str) -> Option<(Unit, When)> {
    use When::{Always, Apart, Touching};
    Some(match letters {
        "km" | "Km" | "KM" => (unit("kilometer", "kilometers"), Always),
        "m" => (unit("meter", "meters"), Always),
        "cm" => (unit("centimeter", "centimeters"), Always),
        "dm" => (unit("decimeter", "decimeters"), Always),
        "mm" => (unit("millimeter", "millimeters"), Always),
        "µm" | "μm" | "um" => (unit("micrometer", "micrometers"), Always),
        "nm" => (unit("nanometer", "nanometers"), Always),
        "mi" | "mi." => (unit("mile", "miles"), Always),
        "yd" | "yds" | "yd." | "yds." => (unit("yard", "yards"), Always),
        "ft" | "ft." => (unit("foot", "feet"), Always),
        "in" => (unit("inch", "inches"), Touching),
        "in." => (unit("inch", "inches"), Touching),
        "nmi" => (unit("nautical mile", "nautical miles"), Always),
        "ly" => (unit("light year", "light years"), Always),
        "km^2" | "km2" | "sq km" => (unit("square kilometer", "square kilometers"), Always),
        "m^2" | "m2" | "sqm" | "sq m" => (unit("square meter", "square meters"), Always),
        "cm^2" | "cm2" => (unit("square centimeter", "square centimeters"), Always),
        "mm^2" | "mm2" => (unit("square millimeter", "square millimeters"), Always),
        "ft^2" | "ft2" | "sqft" | "sq ft" | "sq. ft." | "sq. ft" => (unit("square foot", "square feet"), Always),
        "mi^2" | "sq mi" => (unit("square mile", "square miles"), Always),
        "in^2" | "sq in" => (unit("square inch", "square inches"), Always),
        "m^3" | "m3" => (unit("cubic meter", "cubic meters"), Always),
        "cm^3" | "cm3" | "cc" => (unit("cubic centimeter", "cubic centimeters"), Always),
        "ft^3" | "ft3" | "cu ft" => (unit("cubic foot", "cubic feet"), Always),
        "in^3" => (unit("cubic inch", "cubic inches"), Always),
        "ha" => (unit("hectare", "hectares"), Touching),
        "mph" | "MPH" => (unit("mile per hour", "miles per hour"), Always),
        "kph" | "kmh" | "KPH" | "kmph" => (unit("kilometer per hour", "kilometers per hour"), Always),
        "mpg" => (unit("mile per gallon", "miles per gallon"), Always),
        "kn" | "kt" | "kts" => (unit("knot", "knots"), Always),
        "fps" | "FPS" => (unit("frame per second", "frames per second"), Always),
        "rpm" | "RPM" => (unit("revolution per minute", "revolutions per minute"), Always),
        "bpm" | "BPM" => (unit("beat per minute", "beats per minute"), Always),
        "kg" | "Kg" | "KG" | "kgs" => (unit("kilogram", "kilograms"), Always),
        "g" => (unit("gram", "grams"), Always),
        "mg" => (unit("milligram", "milligrams"), Always),
        "µg" | "μg" | "mcg" => (unit("microgram", "micrograms"), Always),
        "t" => (unit("ton", "tons"), Touching),
        "lb" | "lb." | "lbs" | "lbs." => (unit("pound", "pounds"), Always),
        "oz" | "oz." => (unit("ounce", "ounces"), Always),
        "fl oz" | "fl. oz." => (unit("fluid ounce", "fluid ounces"), Always),
        "l" | "L" => (unit("liter", "liters"), Always),
        "ml" | "mL" | "mls" => (unit("milliliter", "milliliters"), Always),
        "cl" | "cL" => (unit("centiliter", "centiliters"), Always),
        "dl" | "dL" => (unit("deciliter", "deciliters"), Always),
        "gal" | "gal." => (unit("gallon", "gallons"), Always),
        "qt" | "qt." => (unit("quart", "quarts"), Always),
        "pt" | "pts" => (unit("point", "points"), Always),
        "tsp" | "tsp." | "tsps" => (unit("teaspoon", "teaspoons"), Always),
        "tbsp" | "tbsp." | "Tbsp" | "tbsps" | "tbs" | "tbs." => (unit("tablespoon", "tablespoons"), Always),
        "°C" | "ºC" => (unit("degree Celsius", "degrees Celsius"), Always),
        "°F" | "ºF" => (unit("degree Fahrenheit", "degrees Fahrenheit"), Always),
        "°K" => (unit("degree Kelvin", "degrees Kelvin"), Always),
        "°" | "º" => (unit("degree", "degrees"), Always),
        "K" => (unit("kelvin", "kelvin"), Apart),
        "%" => (unit("percent", "percent"), Always),
        "‰" => (unit("per thousand", "per thousand"), Always),
        "pp" => (unit("percentage point", "percentage points"), Always),
        "B" => (unit("byte", "bytes"), Apart),
        "KB" | "kB" | "kb" => (unit("kilobyte", "kilobytes"), Always),
        "MB" | "mb" => (unit("megabyte", "megabytes"), Always),
        "GB" | "gb" => (unit("gigabyte", "gigabytes"), Always),
        "TB" | "tb" => (unit("terabyte", "terabytes"), Always),
        "PB" => (unit("petabyte", "petabytes"), Always),
        "KiB" | "kiB" => (unit("kibibyte", "kibibytes"), Always),
        "MiB" => (unit("mebibyte", "mebibytes"), Always),
        "GiB" => (unit("gibibyte", "gibibytes"), Always),
        "TiB" => (unit("tebibyte", "tebibytes"), Always),
        "Kb" | "kbit" => (unit("kilobit", "kilobits"), Always),
        "Mb" | "Mbit" => (unit("megabit", "megabits"), Always),
        "Gb" | "Gbit" => (unit("gigabit", "gigabits"), Always),
        "bps" => (unit("bit per second", "bits per second"), Always),
        "kbps" | "Kbps" => (unit("kilobit per second", "kilobits per second"), Always),
        "Mbps" | "mbps" => (unit("megabit per second", "megabits per second"), Always),
        "Gbps" | "gbps" => (unit("gigabit per second", "gigabits per second"), Always),
        "MBps" => (unit("megabyte per second", "megabytes per second"), Always),
        "GBps" => (unit("gigabyte per second", "gigabytes per second"), Always),
        "Hz" | "hz" => (unit("hertz", "hertz"), Always),
        "kHz" | "KHz" | "khz" => (unit("kilohertz", "kilohertz"), Always),
        "MHz" | "Mhz" | "mhz" => (unit("megahertz", "megahertz"), Always),
        "GHz" | "Ghz" | "ghz" => (unit("gigahertz", "gigahertz"), Always),
        "THz" => (unit("terahertz", "terahertz"), Always),
        "mW" => (unit("milliwatt", "milliwatts"), Always),
        "W" => (unit("watt", "watts"), Always),
        "kW" | "KW" => (unit("kilowatt", "kilowatts"), Always),
        "MW" => (unit("megawatt", "megawatts"), Always),
        "GW" => (unit("gigawatt", "gigawatts"), Always),
        "TW" => (unit("terawatt", "terawatts"), Always),
        "Wh" => (unit("watt hour", "watt hours"), Always),
        "kWh" | "KWh" | "kwh" => (unit("kilowatt hour", "kilowatt hours"), Always),
        "MWh" => (unit("megawatt hour", "megawatt hours"), Always),
        "GWh" => (unit("gigawatt hour", "gigawatt hours"), Always),
        "TWh" => (unit("terawatt hour", "terawatt hours"), Always),
        "V" => (unit("volt", "volts"), Always),
        "mV" => (unit("millivolt", "millivolts"), Always),
        "kV" => (unit("kilovolt", "kilovolts"), Always),
        "A" => (unit("amp", "amps"), Apart),
        "mA" => (unit("milliamp", "milliamps"), Always),
        "Ah" => (unit("amp hour", "amp hours"), Always),
        "mAh" => (unit("milliamp hour", "milliamp hours"), Always),
        "Ω" | "ohm" => (unit("ohm", "ohms"), Always),
        "kΩ" => (unit("kilohm", "kilohms"), Always),
        "MΩ" => (unit("megohm", "megohms"), Always),
        "µF" | "μF" => (unit("microfarad", "microfarads"), Always),
        "J" => (unit("joule", "joules"), Always),
        "kJ" => (unit("kilojoule", "kilojoules"), Always),
        "MJ" => (unit("megajoule", "megajoules"), Always),
        "N" => (unit("newton", "newtons"), Apart),
        "kN" => (unit("kilonewton", "kilonewtons"), Always),
        "Nm" => (unit("newton meter", "newton meters"), Always),
        "cal" => (unit("calorie", "calories"), Always),
        "kcal" => (unit("kilocalorie", "kilocalories"), Always),
        "Pa" => (unit("pascal", "pascals"), Always),
        "hPa" => (unit("hectopascal", "hectopascals"), Always),
        "kPa" => (unit("kilopascal", "kilopascals"), Always),
        "MPa" => (unit("megapascal", "megapascals"), Always),
        "mbar" => (unit("millibar", "millibars"), Always),
        "psi" | "PSI" => (unit("P S I", "P S I"), Always),
        "inHg" => (unit("inch of mercury", "inches of mercury"), Always),
        "mmHg" => (unit("millimeter of mercury", "millimeters of mercury"), Always),
        "atm" => (unit("atmosphere", "atmospheres"), Touching),
        "dB" | "db" => (unit("decibel", "decibels"), Always),
        "dBm" => (unit("decibel milliwatt", "decibel milliwatts"), Always),
        "lm" => (unit("lumen", "lumens"), Always),
        "lx" => (unit("lux", "lux"), Always),
        "cd" => (unit("candela", "candelas"), Touching),
        "ppm" => (unit("part per million", "parts per million"), Always),
        "ppb" => (unit("part per billion", "parts per billion"), Always),
        "px" => (unit("pixel", "pixels"), Always),
        "dpi" | "DPI" => (unit("dot per inch", "dots per inch"), Always),
        "MP" => (unit("megapixel", "megapixels"), Always),
        "hp" | "HP" => (unit("horsepower", "horsepower"), Always),
        "h" | "hr" | "hrs" | "hr." | "hrs." => (unit("hour", "hours"), Always),
        "min" | "mins" | "min." | "mins." => (unit("minute", "minutes"), Always),
        "s" | "sec" | "secs" | "sec." | "secs." => (unit("second", "seconds"), Always),
        "ms" => (unit("millisecond", "milliseconds"), Always),
        "µs" | "μs" => (unit("microsecond", "microseconds"), Always),
        "ns" => (unit("nanosecond", "nanoseconds"), Always),
        "d" => (unit("day", "days"), Touching),
        "wk" | "wks" => (unit("week", "weeks"), Always),
        "mo" | "mos" => (unit("month", "months"), Always),
        "yr" | "yrs" | "yr." | "yrs." => (unit("year", "years"), Always),
        "mol" => (unit("mole", "moles"), Always),
        "tok" => (unit("token", "tokens"), Always),
        _ => return None,
    })
}

/// What stands after "per": `km/h`, `$5/month`, `12 MB/s`.
pub(crate) fn per(letters: &str) -> Option<&'static str> {
    Some(match letters {
        "h" | "hr" | "hour" => "hour",
        "s" | "sec" | "second" => "second",
        "min" | "minute" => "minute",
        "d" | "day" => "day",
        "wk" | "week" => "week",
        "mo" | "month" => "month",
        "yr" | "y" | "year" => "year",
        "night" => "night",
        "person" => "person",
        "user" => "user",
        other => return lookup(other).map(|(unit, _)| unit.one),
    })
}

/// How money is spoken: main unit, and the hundredth where one is said.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Currency {
    pub(crate) main: Unit,
    pub(crate) cent: Option<Unit>,
}

const CENTS: Option<Unit> = Some(unit("cent", "cents"));

/// Currency signs and codes, longest first: what may stand before (or after) an amount.
#[rustfmt::skip]
pub(crate) const CURRENCIES: &[(&str, Currency)] = &[
    ("US$", Currency { main: unit("U S dollar", "U S dollars"), cent: CENTS }),
    ("CA$", Currency { main: unit("Canadian dollar", "Canadian dollars"), cent: CENTS }),
    ("AU$", Currency { main: unit("Australian dollar", "Australian dollars"), cent: CENTS }),
    ("NZ$", Currency { main: unit("New Zealand dollar", "New Zealand dollars"), cent: CENTS }),
    ("HK$", Currency { main: unit("Hong Kong dollar", "Hong Kong dollars"), cent: CENTS }),
    ("A$", Currency { main: unit("Australian dollar", "Australian dollars"), cent: CENTS }),
    ("C$", Currency { main: unit("Canadian dollar", "Canadian dollars"), cent: CENTS }),
    ("R$", Currency { main: unit("real", "reais"), cent: None }),
    ("$", Currency { main: unit("dollar", "dollars"), cent: CENTS }),
    ("€", Currency { main: unit("euro", "euros"), cent: CENTS }),
    ("£", Currency { main: unit("pound", "pounds"), cent: Some(unit("penny", "pence")) }),
    ("¥", Currency { main: unit("yen", "yen"), cent: None }),
    ("₹", Currency { main: unit("rupee", "rupees"), cent: None }),
    ("₽", Currency { main: unit("ruble", "rubles"), cent: None }),
    ("₩", Currency { main: unit("won", "won"), cent: None }),
    ("₿", Currency { main: unit("bitcoin", "bitcoins"), cent: None }),
    ("₺", Currency { main: unit("lira", "lira"), cent: None }),
    ("₴", Currency { main: unit("hryvnia", "hryvnias"), cent: None }),
    ("₪", Currency { main: unit("shekel", "shekels"), cent: None }),
    ("₫", Currency { main: unit("dong", "dong"), cent: None }),
    ("₱", Currency { main: unit("peso", "pesos"), cent: None }),
    ("฿", Currency { main: unit("baht", "baht"), cent: None }),
    ("USD", Currency { main: unit("U S dollar", "U S dollars"), cent: CENTS }),
    ("EUR", Currency { main: unit("euro", "euros"), cent: CENTS }),
    ("GBP", Currency { main: unit("pound", "pounds"), cent: Some(unit("penny", "pence")) }),
    ("JPY", Currency { main: unit("yen", "yen"), cent: None }),
    ("CHF", Currency { main: unit("Swiss franc", "Swiss francs"), cent: None }),
    ("CAD", Currency { main: unit("Canadian dollar", "Canadian dollars"), cent: CENTS }),
    ("AUD", Currency { main: unit("Australian dollar", "Australian dollars"), cent: CENTS }),
    ("INR", Currency { main: unit("rupee", "rupees"), cent: None }),
    ("CNY", Currency { main: unit("yuan", "yuan"), cent: None }),
];

/// `3.5M`, `2bn`, `40k`: what the letter after an amount multiplies by.
pub(crate) fn magnitude(letters: &str) -> Option<&'static str> {
    Some(match letters {
        "k" | "K" => "thousand",
        "m" | "M" | "mn" | "mm" | "MM" => "million",
        "b" | "B" | "bn" | "Bn" => "billion",
        "t" | "T" | "tn" | "trn" => "trillion",
        _ => return None,
    })
}
