//! From a question to the words of its answer: the language model, the tools that it calls, and how often.
