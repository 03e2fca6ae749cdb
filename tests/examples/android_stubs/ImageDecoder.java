package android.graphics;

import android.content.ContentResolver;
import android.net.Uri;
import android.util.Size;
import java.io.IOException;

public final class ImageDecoder implements AutoCloseable {
    public static final int ALLOCATOR_SOFTWARE = 1;

    private ImageDecoder() {}

    public static Source createSource(ContentResolver resolver, Uri uri) {
        return new Source();
    }

    public static Bitmap decodeBitmap(Source source, OnHeaderDecodedListener listener)
            throws IOException {
        throw new IOException("nothing is decoded here");
    }

    public int getAllocator() {
        return 0;
    }

    public void setAllocator(int allocator) {}

    public void setTargetSampleSize(int sampleSize) {}

    @Override
    public void close() {}

    public static class Source {}

    public interface ImageInfo {
        Size getSize();

        String getMimeType();
    }

    public interface OnHeaderDecodedListener {
        void onHeaderDecoded(ImageDecoder decoder, ImageInfo info, Source source);
    }
}
