//! Forty sentences that a voice assistant could say, with numbers, times, names and units: as a
//! language model writes them, and as they should be heard.

/// (written, as heard). A transcript is compared with both, and with [`SPELLINGS`] folded: "1987" and
/// "nineteen eighty seven" are the same sound.
pub(super) const SENTENCES: [(&str, &str); 40] = [
    (
        "It is 7:45 in the morning.",
        "It is seven forty five in the morning.",
    ),
    (
        "The meeting starts at 14:30 today.",
        "The meeting starts at fourteen thirty today.",
    ),
    (
        "Your alarm is set for 6 am.",
        "Your alarm is set for six am.",
    ),
    (
        "It is **21°C** in the living room.",
        "It is twenty one degrees Celsius in the living room.",
    ),
    (
        "Tonight it will be -5°C outside.",
        "Tonight it will be minus five degrees Celsius outside.",
    ),
    (
        "The oven is at 350°F.",
        "The oven is at three hundred fifty degrees Fahrenheit.",
    ),
    (
        "There is a 60% chance of rain.",
        "There is a sixty percent chance of rain.",
    ),
    (
        "That costs $12.50 at the store.",
        "That costs twelve dollars and fifty cents at the store.",
    ),
    (
        "The ticket was £8 this time.",
        "The ticket was eight pounds this time.",
    ),
    (
        "You have 3 new messages from Anna.",
        "You have three new messages from Anna.",
    ),
    (
        "The drive is 12.5 km and takes 20 minutes.",
        "The drive is twelve point five kilometers and takes twenty minutes.",
    ),
    (
        "Add 250 g of flour and 2 eggs.",
        "Add two hundred fifty grams of flour and two eggs.",
    ),
    ("Use 1/2 cup of sugar.", "Use one half cup of sugar."),
    (
        "The wind blows at 30 km/h from the west.",
        "The wind blows at thirty kilometers per hour from the west.",
    ),
    (
        "The package weighs 4 kg.",
        "The package weighs four kilograms.",
    ),
    (
        "Her birthday is on the 3rd of May.",
        "Her birthday is on the third of May.",
    ),
    (
        "The house was built in 1987.",
        "The house was built in nineteen eighty seven.",
    ),
    (
        "The appointment is on Monday, March 14.",
        "The appointment is on Monday, March fourteenth.",
    ),
    (
        "Dr. Smith lives at 12 Baker Street.",
        "Doctor Smith lives at twelve Baker Street.",
    ),
    (
        "Mr. Jones called twice this morning.",
        "Mister Jones called twice this morning.",
    ),
    (
        "I turned off the lights, locked the door, and closed the garage.",
        "I turned off the lights, locked the door, and closed the garage.",
    ),
    (
        "Your timer for the pasta is done!",
        "Your timer for the pasta is done.",
    ),
    (
        "Sorry, I could not find that song.",
        "Sorry, I could not find that song.",
    ),
    (
        "The capital of Australia is Canberra, not Sydney.",
        "The capital of Australia is Canberra, not Sydney.",
    ),
    (
        "Mount Everest is 8,849 metres high.",
        "Mount Everest is eight thousand eight hundred forty nine meters high.",
    ),
    (
        "Light travels about 300,000 km per second.",
        "Light travels about three hundred thousand kilometers per second.",
    ),
    (
        "Shall I play some jazz in the kitchen?",
        "Shall I play some jazz in the kitchen?",
    ),
    (
        "The score is 2 to 1 for the home team.",
        "The score is two to one for the home team.",
    ),
    (
        "Your flight leaves from gate B7 at 9:15.",
        "Your flight leaves from gate B seven at nine fifteen.",
    ),
    (
        "The battery is at 85% & charging.",
        "The battery is at eighty five percent and charging.",
    ),
    (
        "William Shakespeare wrote Hamlet around 1600.",
        "William Shakespeare wrote Hamlet around sixteen hundred.",
    ),
    (
        "There are 24 hours in a day and 7 days in a week.",
        "There are twenty four hours in a day and seven days in a week.",
    ),
    (
        "The store opens at 8 and closes at 10.",
        "The store opens at eight and closes at ten.",
    ),
    (
        "Michael and Sarah arrive on Friday evening.",
        "Michael and Sarah arrive on Friday evening.",
    ),
    (
        "The nearest pharmacy is 400 m away.",
        "The nearest pharmacy is four hundred meters away.",
    ),
    (
        "I have added milk, bread and 6 apples to your list.",
        "I have added milk, bread and six apples to your list.",
    ),
    (
        "The doors on the 2nd floor are locked.",
        "The doors on the second floor are locked.",
    ),
    (
        "Water boils at 100 degrees.",
        "Water boils at one hundred degrees.",
    ),
    (
        "Here is the news: the bridge opens again tomorrow.",
        "Here is the news: the bridge opens again tomorrow.",
    ),
    (
        "Good night, sleep well, see you tomorrow at 7.",
        "Good night, sleep well, see you tomorrow at seven.",
    ),
];

/// How a transcript may write what is said otherwise: clock times with a point or none, am without a
/// space.
pub(super) const SPELLINGS: [(&str, &str); 4] = [
    ("7.45", "7:45"),
    ("1430", "14:30"),
    ("9.15", "9:15"),
    ("6am", "6 am"),
];
