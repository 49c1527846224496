// A report's figures as files for papers and slides.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace muonlab::study {

struct FigureExport {
  std::vector<std::string> formats;  ///< of figure_formats(), each once
  /// Interpreter with vl-convert-python; a bare name is looked up in $PATH.
  std::filesystem::path python = "python3";
  std::filesystem::path script;  ///< scripts/export_figures.py
};

/// "svg", "png", "pdf".
[[nodiscard]] const std::vector<std::string>& figure_formats();

/// Draws each specification (NAME.vl.json) as NAME.svg and so on beside it, in
/// a process of its own, and returns the files written. The script says their
/// size: 480 pixels wide, white, PNG with two dots for each pixel.
///
/// Throws Error: kInvalidArgument for an unknown format; kIo when the script is
/// missing, or a figure cannot be drawn or written, with the script's words;
/// kUnsupported when there is no such interpreter, or none with
/// vl-convert-python.
std::vector<std::filesystem::path> export_figures(
    const std::vector<std::filesystem::path>& specs, const FigureExport& how);

}  // namespace muonlab::study
