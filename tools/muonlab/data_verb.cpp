// muonlab data: from text to a dataset folder, and what such a folder holds.
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

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
    // Separators stand for no text.
    const auto text_tokens =
        static_cast<double>(split.n_tokens - split.n_documents);
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

void print_info(const data::DatasetInfo& info) {
  std::cout << "corpus     " << info.corpus_name << "\n"
            << "tokenizer  " << info.tokenizer_kind << ", "
            << grouped(info.vocabulary) << " tokens\n"
            << "split      " << info.split_rule << "\n"
            << "hash       " << info.hash << "\n\n";
  print_table(info);
  print_counts(info);
}

void run_prepare(const PrepareArguments& arguments) {
  data::PrepareOptions options = arguments.options;
  options.corpus = arguments.corpus;
  options.out = arguments.out;
  options.tokenizer = arguments.tokenizer == "bytes"
                          ? data::TokenizerKind::kBytes
                          : data::TokenizerKind::kBpe;
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
  verb->add_option("--tokenizer", arguments->tokenizer, "bpe or bytes")
      ->check(CLI::IsMember({"bpe", "bytes"}))
      ->capture_default_str();
  verb->add_option("--vocabulary", options.vocabulary,
                   "tokens of the BPE: 256 bytes, merged ones, the separator")
      ->capture_default_str();
  verb->add_option("--held-out", options.held_out,
                   "share of documents held out; half of them select settings, "
                   "half report results")
      ->capture_default_str();
  verb->add_flag("--force", options.force, "replace an existing dataset");
  verb->add_flag("--json", arguments->json, "print one JSON object");
  verb->footer(
      "Example:\n"
      "  muonlab data prepare speeches/ --out data/speeches --vocabulary 1024\n"
      "The split goes by each document's hash, and the BPE sees the training\n"
      "documents only. Asking again for what is there already does nothing.");
  verb->callback([arguments] { run_prepare(*arguments); });
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
