package android.content.res;

import java.io.File;
import java.io.IOException;

/** Files of a folder. */
public final class AssetManager {
    private final File folder;

    public AssetManager(File folder) {
        this.folder = folder;
    }

    public AssetFileDescriptor openFd(String fileName) throws IOException {
        return new AssetFileDescriptor(new File(folder, fileName));
    }
}
