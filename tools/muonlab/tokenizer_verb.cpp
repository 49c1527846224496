// muonlab tokenizer: training, and text to ids and back on stdin and stdout.
#include <CLI/CLI.hpp>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <iostream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "muonlab/core/error.h"
#include "muonlab/core/text.h"
#include "muonlab/data/bpe_tokenizer.h"
#include "muonlab/data/bpe_trainer.h"
#include "muonlab/data/corpus.h"
#include "muonlab/data/tokenizer.h"
#include "muonlab/data/utf8.h"
#include "tools/muonlab/verbs.h"

namespace muonlab::tools {

namespace {

using Json = nlohmann::ordered_json;

struct TrainArguments {
  std::string corpus;
  std::string out;
  std::int64_t vocabulary = 0;
  bool json = false;
};

struct CodeArguments {
  std::string tokenizer;
  bool lines = false;
  bool json = false;
};

void run_train(const TrainArguments& arguments) {
  const data::Corpus corpus = data::read_documents(arguments.corpus);
  std::cerr << "tokenizer train: "
            << core::grouped(std::ssize(corpus.documents)) << " documents, "
            << core::byte_size(static_cast<double>(corpus.bytes())) << "\n";
  std::vector<std::string_view> texts;
  for (const data::Document& document : corpus.documents) {
    texts.push_back(document.text);
  }
  const auto start = std::chrono::steady_clock::now();
  const data::BpeTokenizer tokenizer(
      data::train_bpe(texts, arguments.vocabulary));
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
          .count();
  tokenizer.save(arguments.out);
  if (arguments.json) {
    const Json object = {{"schema", 1},
                         {"file", arguments.out},
                         {"vocabulary", tokenizer.vocabulary_size()},
                         {"merges", tokenizer.merges().size()},
                         {"hash", tokenizer.hash()},
                         {"seconds", seconds}};
    std::cout << object.dump(-1, ' ', false, Json::error_handler_t::replace)
              << "\n";
    return;
  }
  std::cout << arguments.out << ": "
            << core::grouped(tokenizer.vocabulary_size()) << " tokens, "
            << core::grouped(std::ssize(tokenizer.merges())) << " merges, "
            << core::duration(seconds) << "\n";
}

// Standard input as one text, or as its lines.
std::vector<std::string> read_inputs(bool lines) {
  std::ios::sync_with_stdio(false);
  std::vector<std::string> inputs;
  if (!lines) {
    inputs.emplace_back(std::istreambuf_iterator<char>(std::cin),
                        std::istreambuf_iterator<char>());
    return inputs;
  }
  for (std::string line; std::getline(std::cin, line);) {
    inputs.push_back(std::move(line));
  }
  return inputs;
}

void run_encode(const CodeArguments& arguments) {
  const auto tokenizer = data::load_tokenizer(arguments.tokenizer);
  Json all = Json::array();
  std::string out;
  for (const std::string& input : read_inputs(arguments.lines)) {
    const std::vector<std::int32_t> ids = tokenizer->encode(input);
    if (arguments.json) {
      all.push_back(ids);
      continue;
    }
    for (std::size_t i = 0; i < ids.size(); ++i) {
      if (i > 0) out += ' ';
      out += std::to_string(ids[i]);
    }
    out += '\n';
  }
  if (arguments.json) {
    const Json object = {
        {"schema", 1}, {"tokenizer", tokenizer->hash()}, {"ids", all}};
    out = object.dump() + "\n";
  }
  std::cout << out << std::flush;
}

std::vector<std::int32_t> parse_ids(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  std::vector<std::int32_t> ids;
  for (;;) {
    const std::size_t start = text.find_first_not_of(kBlanks);
    if (start == std::string_view::npos) return ids;
    text.remove_prefix(start);
    const std::string_view word = text.substr(0, text.find_first_of(kBlanks));
    std::int32_t id = 0;
    const auto [end, code] =
        std::from_chars(word.data(), word.data() + word.size(), id);
    MUONLAB_CHECK(code == std::errc() && end == word.data() + word.size(),
                  "tokenizer decode: got '", word,
                  "', expected ids separated by blanks");
    ids.push_back(id);
    text.remove_prefix(word.size());
  }
}

void run_decode(const CodeArguments& arguments) {
  const auto tokenizer = data::load_tokenizer(arguments.tokenizer);
  Json all = Json::array();
  bool valid = true;
  std::string out;
  for (const std::string& input : read_inputs(arguments.lines)) {
    const std::string text = tokenizer->decode(parse_ids(input));
    if (arguments.json) {
      valid = valid && data::is_valid_utf8(text);
      all.push_back(text);
      continue;
    }
    out += text;
    if (arguments.lines) out += '\n';
  }
  if (arguments.json) {
    // JSON holds characters only: other bytes become U+FFFD, and we say so.
    const Json object = {{"schema", 1},
                         {"tokenizer", tokenizer->hash()},
                         {"text", all},
                         {"valid_utf8", valid}};
    out = object.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  }
  std::cout << out << std::flush;
}

void add_train(CLI::App& tokenizer_verb) {
  CLI::App* verb = tokenizer_verb.add_subcommand(
      "train", "Train a byte-level BPE on all documents of a corpus");
  const auto arguments = std::make_shared<TrainArguments>();
  verb->add_option("CORPUS", arguments->corpus,
                   "folder of .txt files, a text file or a .jsonl file")
      ->required();
  verb->add_option("--vocabulary", arguments->vocabulary,
                   "tokens in all: 256 bytes, merged ones, the separator")
      ->required();
  verb->add_option("-o,--out", arguments->out, "tokenizer.json to write")
      ->required();
  verb->add_flag("--json", arguments->json, "print one JSON object");
  verb->footer(
      "Example:\n"
      "  muonlab tokenizer train speeches/ --vocabulary 1024 "
      "--out tokenizer.json\n"
      "For a study use `muonlab data prepare`: it keeps held-out documents "
      "out\n"
      "of the training of the tokenizer.");
  verb->callback([arguments] { run_train(*arguments); });
}

std::shared_ptr<CodeArguments> add_code_options(CLI::App& verb,
                                                const char* lines_help) {
  auto arguments = std::make_shared<CodeArguments>();
  verb.add_option("--tokenizer", arguments->tokenizer,
                  "tokenizer.json, or a model's .gguf")
      ->required();
  verb.add_flag("--lines", arguments->lines, lines_help);
  verb.add_flag("--json", arguments->json, "print one JSON object");
  return arguments;
}

}  // namespace

void add_tokenizer_verb(CLI::App& app) {
  CLI::App* verb =
      app.add_subcommand("tokenizer", "Train tokenizers; text to ids and back");
  verb->require_subcommand(1);
  verb->footer(
      "Example:\n  muonlab tokenizer encode --tokenizer tokenizer.json "
      "< text.txt");
  add_train(*verb);

  CLI::App* encode = verb->add_subcommand(
      "encode", "Text on stdin to ids on stdout, separated by blanks");
  const auto encode_arguments = add_code_options(
      *encode,
      "each line by itself, without its line break; a line of ids each");
  encode->footer(
      "Example:\n  echo 'We the people' | muonlab tokenizer encode "
      "--tokenizer tokenizer.json --lines");
  encode->callback([encode_arguments] { run_encode(*encode_arguments); });

  CLI::App* decode = verb->add_subcommand(
      "decode", "Ids on stdin, separated by blanks, to bytes on stdout");
  const auto decode_arguments =
      add_code_options(*decode, "each line by itself; a line of text each");
  decode->footer(
      "Example:\n  echo 72 105 | muonlab tokenizer decode "
      "--tokenizer tokenizer.json");
  decode->callback([decode_arguments] { run_decode(*decode_arguments); });
}

}  // namespace muonlab::tools
