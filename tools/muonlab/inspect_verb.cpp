// `muonlab inspect`: what a file of tensors holds, and its spectra.
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "muonlab/core/error.h"
#include "muonlab/formats/gguf.h"
#include "muonlab/train/inspect.h"
#include "tools/muonlab/verbs.h"

namespace muonlab::tools {

void add_inspect_verb(CLI::App& app) {
  struct Options {
    std::string path;
    bool spectra = false;
    bool json = false;
  };
  auto options = std::make_shared<Options>();
  auto* verb = app.add_subcommand(
      "inspect", "what a checkpoint, another safetensors or a GGUF file holds");
  verb->add_option(
          "PATH", options->path,
          "a safetensors file: weights, optimizer state; or a GGUF file")
      ->required();
  verb->add_flag("--spectra", options->spectra,
                 "singular values of every matrix: largest, smallest, stable "
                 "rank, entropy (kernels flattened)");
  verb->add_flag("--json", options->json, "one JSON object on stdout");
  verb->footer(
      "Example: muonlab inspect runs/mine/model.safetensors --spectra");
  verb->callback([options] {
    const bool gguf = formats::is_gguf(options->path);
    MUONLAB_CHECK(!gguf || !options->spectra, "inspect: --spectra: got it for ",
                  options->path,
                  ", expected a safetensors file: the weights of GGUF files "
                  "are not read");
    const train::Inspection found =
        gguf ? train::inspect_gguf(options->path)
             : train::inspect(options->path, options->spectra);
    if (options->json) {
      std::cout << found.json.dump(2) << "\n";
    } else {
      std::cout << found.text;
    }
  });
}

}  // namespace muonlab::tools
