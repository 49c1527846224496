// muonlab data: from text to a dataset folder, and what such a folder holds.
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "muonlab/core/error.h"
#include "muonlab/core/text.h"
#include "muonlab/data/dataset.h"
#include "muonlab/data/prepare.h"
#include "tools/muonlab/verbs.h"

namespace muonlab::tools {

namespace {

using core::grouped;

struct PrepareArguments {
  data::PrepareOptions options;
  std::string corpus;
  std::string out;
  std::string tokenizer = "bpe";
  std::string split = "documents";
  bool vocabulary_given = false;
  bool no_separator = false;
  bool json = false;
};

struct InspectArguments {
  std::string folder;
  bool json = false;
};

void print_table(const data::DatasetInfo& info) {
  std::vector<std::vector<std::string>> rows = {
      {"split", "documents", "tokens", "text", "bytes per token"}};
  for (const data::Split which : data::kSplits) {
    const data::SplitInfo& split = info.split(which);
    if (split.n_tokens == 0) continue;
    // Separators stand for no text.
    const auto text_tokens = static_cast<double>(
        split.n_tokens - (info.cut.separators ? split.n_documents : 0));
    rows.push_back(
        {std::string(data::name_of(which)), grouped(split.n_documents),
         grouped(split.n_tokens),
         core::byte_size(static_cast<double>(split.bytes)),
         core::fixed(static_cast<double>(split.bytes) / text_tokens, 2)});
  }
  std::cout << core::aligned_table(rows);
}

void print_counts(const data::DatasetInfo& info) {
  const auto line = [](std::int64_t count, const char* what) {
    if (count > 0) std::cout << "  " << grouped(count) << " " << what << "\n";
  };
  line(info.empty_documents, "empty documents left out");
  line(info.invalid_utf8_documents,
       "documents that are not valid UTF-8, kept as bytes");
  line(info.duplicate_documents, "copies of another document, kept");
}

// What was asked for, whether there was that much, and what was left out.
void print_cut(const data::DatasetInfo& info) {
  const data::Cut& cut = info.cut;
  std::int64_t documents = 0;
  std::int64_t tokens = 0;
  for (const data::SplitInfo& split : info.splits) {
    documents += split.n_documents;
    tokens += split.n_tokens;
  }
  if (!cut.separators) std::cout << "  no separators between documents\n";
  const auto line = [](std::int64_t dropped, std::int64_t limit,
                       std::int64_t found, const char* what) {
    if (dropped > 0) {
      std::cout << "  " << grouped(dropped) << " " << what << " left out\n";
    } else if (limit > found) {
      std::cout << "  fewer than the " << grouped(limit) << " " << what
                << " asked for: all " << grouped(found) << " are used\n";
    }
  };
  line(cut.dropped_documents, cut.documents, documents, "documents");
  if (cut.characters > 0) {
    std::cout << "  " << grouped(cut.dropped_characters)
              << " characters left out: each document was cut to "
              << grouped(cut.characters) << "\n";
  }
  line(cut.dropped_tokens, cut.tokens, tokens, "tokens");
}

void print_info(const data::DatasetInfo& info) {
  std::cout << "corpus     " << info.corpus_name << "\n"
            << "tokenizer  " << info.tokenizer_kind << ", "
            << grouped(info.vocabulary) << " tokens\n"
            << "split      " << info.split_rule << "\n"
            << "hash       " << info.hash << "\n\n";
  print_table(info);
  if (info.split_by_windows()) {
    std::cout << "  one stream: held-out windows overlap those trained on\n";
  }
  print_cut(info);
  print_counts(info);
}

bool is_tokenizer_file(std::string_view name) {
  return name.ends_with(".json") || name.ends_with(".gguf");
}

std::string check_tokenizer_name(const std::string& name) {
  if (name == "bpe" || name == "bytes" || is_tokenizer_file(name)) return "";
  return concat("got '", name,
                "', expected bpe, bytes or a file whose name ends in .json or "
                ".gguf");
}

void run_prepare(const PrepareArguments& arguments) {
  data::PrepareOptions options = arguments.options;
  options.corpus = arguments.corpus;
  options.out = arguments.out;
  options.separators = !arguments.no_separator;
  options.split = arguments.split == "windows" ? data::SplitBy::kWindows
                                               : data::SplitBy::kDocuments;
  if (is_tokenizer_file(arguments.tokenizer)) {
    MUONLAB_CHECK(!arguments.vocabulary_given,
                  "data prepare: --vocabulary: got ", options.vocabulary,
                  " with the tokenizer of ", arguments.tokenizer,
                  ", expected none: a tokenizer from a file has its own");
    options.tokenizer = data::TokenizerKind::kFile;
    options.tokenizer_file = arguments.tokenizer;
  } else if (arguments.tokenizer == "bytes") {
    options.tokenizer = data::TokenizerKind::kBytes;
  }
  options.progress = [](std::string_view line) {
    std::cerr << "data prepare: " << line << "\n";
  };
  const data::PrepareReport report = data::prepare(options);
  if (arguments.json) {
    auto object = nlohmann::ordered_json::parse(data::to_json(report.info));
    object["already_there"] = report.already_there;
    object["training_seconds"] = report.training_seconds;
    object["encoding_seconds"] = report.encoding_seconds;
    std::cout << object.dump() << "\n";
    return;
  }
  if (report.already_there) {
    std::cout << arguments.out
              << ": already there, whole, with the same settings\n\n";
  } else {
    std::cout << arguments.out << ": written (tokenizer "
              << core::duration(report.training_seconds) << ", encoding "
              << core::duration(report.encoding_seconds) << ")\n\n";
  }
  print_info(report.info);
}

void run_inspect(const InspectArguments& arguments) {
  const auto dataset = data::Dataset::open(arguments.folder);
  if (arguments.json) {
    auto object = nlohmann::ordered_json::parse(data::to_json(dataset.info()));
    object["whole"] = true;
    std::cout << object.dump() << "\n";
    return;
  }
  print_info(dataset.info());
  std::cout << "\nwhole: every file is what " << data::kSidecarName
            << " says\n";
}

void add_cut_options(CLI::App& verb, PrepareArguments& arguments) {
  data::PrepareOptions& options = arguments.options;
  verb.add_option("--documents", options.documents,
                  "take the first so many documents (0: all)");
  verb.add_option(
      "--characters", options.characters,
      "take the first so many characters of each document (0: all)");
  verb.add_option("--tokens", options.tokens,
                  "take the first so many tokens of the stream (0: all; with "
                  "--split windows)");
  verb.add_flag("--no-separator", arguments.no_separator,
                "put no separator before each document");
}

void add_prepare(CLI::App& data_verb) {
  CLI::App* verb = data_verb.add_subcommand(
      "prepare", "Text to tokenizer, split, token shards and sidecar");
  const auto arguments = std::make_shared<PrepareArguments>();
  data::PrepareOptions& options = arguments->options;
  verb->add_option("CORPUS", arguments->corpus,
                   "folder of .txt files, a text file (documents apart by "
                   "lines <|endoftext|>), or a .jsonl file with \"text\"")
      ->required();
  verb->add_option("-o,--out", arguments->out, "dataset folder to make")
      ->required();
  verb->add_option("--tokenizer", arguments->tokenizer,
                   "bpe (trained here), bytes, or a file: a tokenizer.json, a "
                   "model's .gguf")
      ->check(CLI::Validator(check_tokenizer_name, "NAME|FILE"))
      ->capture_default_str();
  const CLI::Option* vocabulary =
      verb->add_option(
              "--vocabulary", options.vocabulary,
              "tokens of the BPE: 256 bytes, merged ones, the separator")
          ->capture_default_str();
  verb->add_option("--held-out", options.held_out,
                   "share held out; of documents, half select settings and "
                   "half report results")
      ->capture_default_str();
  verb->add_option("--split", arguments->split,
                   "what is held out: documents, or windows of one stream, "
                   "which overlap those that are trained on")
      ->check(CLI::IsMember({"documents", "windows"}))
      ->capture_default_str();
  add_cut_options(*verb, *arguments);
  verb->add_flag("--force", options.force, "replace an existing dataset");
  verb->add_flag("--json", arguments->json, "print one JSON object");
  verb->footer(
      "Example:\n"
      "  muonlab data prepare speeches/ --out data/speeches --vocabulary 1024\n"
      "The split goes by each document's hash, and the BPE sees the training\n"
      "documents only. Asking again for what is there already does nothing.\n"
      "A study that split overlapping windows of one stream at random:\n"
      "  muonlab data prepare speeches/ --out data/as-coded --split windows\n"
      "    --tokenizer model.gguf --no-separator --documents 200\n"
      "    --characters 1500 --tokens 30000");
  verb->callback([arguments, vocabulary] {
    arguments->vocabulary_given = vocabulary->count() > 0;
    run_prepare(*arguments);
  });
}

void add_inspect(CLI::App& data_verb) {
  CLI::App* verb = data_verb.add_subcommand(
      "inspect", "What a dataset holds, and whether it is whole");
  const auto arguments = std::make_shared<InspectArguments>();
  verb->add_option("DIR", arguments->folder, "dataset folder")->required();
  verb->add_flag("--json", arguments->json, "print one JSON object");
  verb->footer("Example:\n  muonlab data inspect data/speeches");
  verb->callback([arguments] { run_inspect(*arguments); });
}

}  // namespace

void add_data_verb(CLI::App& app) {
  CLI::App* verb =
      app.add_subcommand("data", "Prepare and inspect datasets of text");
  verb->require_subcommand(1);
  verb->footer(
      "Example:\n  muonlab data prepare speeches/ --out data/speeches");
  add_prepare(*verb);
  add_inspect(*verb);
}

}  // namespace muonlab::tools
